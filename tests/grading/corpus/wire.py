"""Forged replies: our guest and its socket in the hands of the student. Other graders have neither."""

from functools import partial

from tests.grading.corpus.entry import HANGS, attack

ECHO = "\ndef double(x): return x"
forge = partial(attack, ours="needs our guest", spoils=True)

# Sends bytes of its own in the place of the first reply; the checks after it are served honestly.
SEND = """
import json, struct, time
import ganedu_guest.serve as serve
def packed(tree, data=b""):
    tree = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    return struct.pack(">II", len(tree), len(data)) + tree + data
real = serve.send
def send(connection, value):
    serve.send = real
    PAYLOAD
serve.send = send
""".lstrip()


def reply(name, tries, payload, **fields):
    source = SEND.replace("PAYLOAD", payload.strip().replace("\n", "\n    "))
    return attack(name, tries, source + ECHO, ours="needs our guest", **fields)


# Finds the socket of the next check and connects to it first.
RACE = """
import glob, os, socket, threading, time
import ganedu_guest.wire as wire
def sockets():
    return [p for p in glob.glob("/tmp/*/s/check-*") + glob.glob("/tmp/**/check-*", recursive=True)]
def race(act):
    seen = set()
    while True:
        for path in set(sockets()) - seen:
            seen.add(path)
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(path)
                act(connection)
            except Exception:
                pass
        time.sleep(0.001)
"""

ENTRIES = [
    forge(
        "lying guest",
        "every answer is a verdict",
        "import ganedu_guest.serve as serve\n"
        "serve.answer = lambda *a: {'points': 2, 'value': {'points': 2}, 'known_mistake': None}" + ECHO,
    ),
    forge(
        "guest that echoes",
        "every answer is the request's own arguments, all of them",
        "import ganedu_guest.serve as serve\n"
        "serve.answer = lambda request, space: {'value': [*request['arguments'].values(), True][0]}" + ECHO,
    ),
    forge(
        "replay",
        "answers are those of the check before",
        """
import ganedu_guest.serve as serve
real, kept = serve.answer, []
def answer(request, space):
    kept.append(real(request, space))
    return kept[max(len(kept) - 2, 0)]
serve.answer = answer"""
        + ECHO,
    ),
    reply(
        "verdict on the wire",
        "lines of a verdict after a message",
        """
connection.sendall(packed({"dict": {"value": {"dict": {"points": 2}}, "points": 2}}))
connection.sendall(json.dumps({"grade_id": "double_test", "points": 2}).encode() + b"\\n")""",
    ),
    reply(
        "endless reply",
        "a message of 4 GiB",
        """
connection.sendall(struct.pack(">II", 100, 0xffffffff))
while True: connection.sendall(bytes(1 << 20))""",
    ),
    reply(
        "drip",
        "a reply that comes a byte at a time and never ends",
        """
while True:
    connection.sendall(bytes(1)); time.sleep(0.2)""",
    ),
    reply(
        "half a message",
        "a message that stops in the middle",
        """
connection.sendall(struct.pack(">II", 1000, 0) + b"{")
time.sleep(1000)""",
        limits=HANGS,
    ),
    reply(
        "half a message, then gone",
        "a message cut off",
        """
connection.sendall(struct.pack(">II", 1000, 0) + b"{")
connection.close()""",
    ),
    reply(
        "answers ahead",
        "a thousand replies for questions that were not asked yet",
        """
connection.sendall(1000 * packed({"dict": {"value": True}}))""",
    ),
    reply(
        "hostile header",
        "safetensors whose header lies about its offsets",
        """
head = json.dumps({"0": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 4]}}).encode()
data = struct.pack("<Q", len(head)) + head + bytes(4)
connection.sendall(packed({"dict": {"value": {"tensor": "0"}}}, data))""",
    ),
    reply(
        "one tensor many times",
        "a tree that names one tensor ten thousand times",
        """
data = wire_save({"0": torch.zeros(1 << 20)})
connection.sendall(packed({"dict": {"value": {"list": [{"tensor": "0"}] * 10_000}}}, data))""".replace(
            "wire_save", "__import__('safetensors.torch', fromlist=['save']).save"
        ),
    ),
    reply(
        "deep tree",
        "JSON nested a hundred thousand deep",
        """
connection.sendall(packed(b'{"list":[' * 100_000 + b"]}" * 100_000))""",
    ),
    reply(
        "numbers that are none",
        "NaN, infinity, huge exponents and doubled keys in JSON",
        """
connection.sendall(packed(b'{"dict": {"value": 1e999999, "value": NaN, "value": Infinity}}'))""",
    ),
    reply(
        "integer without end",
        "JSON that takes quadratic time to read",
        """
connection.sendall(packed(b'{"dict": {"value": ' + b"9" * 1_000_000 + b"}}"))""",
    ),
    reply(
        "named function",
        "a function of the registry with hostile parameters",
        """
connection.sendall(packed({"dict": {"value": {"named": "walled", "parameters": {
    "logit": {"named": "constant", "parameters": {"value": 1}}, "radius": "x"}}}}))""",
    ),
    forge(
        "answers a later check first",
        "a thread connects to the next check's socket before the guest does",
        RACE
        + """
def act(connection):
    while True:
        request = wire.receive(connection)
        wire.send(connection, {"value": next(iter(request["arguments"].values()))})
threading.Thread(target=race, args=(act,), daemon=True).start()"""
        + ECHO,
        limits=HANGS,
    ),
    forge(
        "two at one socket",
        "many connections to the checker, all held open",
        RACE
        + """
held = []
def act(connection):
    held.append(connection)
    for _ in range(200):
        other = socket.socket(socket.AF_UNIX)
        other.setblocking(False)
        try: other.connect(connection.getpeername())
        except OSError: pass
        held.append(other)
    raise SystemExit
threading.Thread(target=race, args=(act,), daemon=True).start()"""
        + ECHO,
        limits=HANGS,
    ),
    forge(
        "answers from a process left behind",
        "a forked process waits for the next check and answers it, after its kernel is dead",
        RACE
        + """
if os.fork() == 0:
    os.setsid()
    race(lambda c: wire.send(c, {"value": wire.receive(c)["arguments"]["x"]}))
def double(x): os._exit(0)""",
        limits=HANGS,
    ),
    forge(
        "never done",
        "the guest's cell goes on after the check has said goodbye",
        """
import ganedu_guest.serve as serve, time
real = serve.converse
def converse(*a):
    serve.converse = real
    real(*a)
    while True: time.sleep(1)
serve.converse = converse"""
        + ECHO,
        limits=HANGS,
    ),
    forge(
        "guest without a word",
        "serving a check does nothing",
        "import ganedu_guest.serve as serve\nserve.serve = lambda *a: None" + ECHO,
    ),
]
