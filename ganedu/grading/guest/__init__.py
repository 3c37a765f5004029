"""The grader's foot inside the sandbox: needs torch, safetensors and the standard library, not ganedu.

Mounted there as the package `guest`. It runs beside hostile code and may be changed by it, so nothing that it
says is believed: the trusted side checks every byte (`ganedu.grading.border`).
"""
