"""Jupyter's settings for an instructor: `jupyter lab --config=jupyter_server_config.py`, in this folder.

Grading makes harmless what a submission shows. This is the second line, for what was not made so, such as a
submission that is opened as it came: pages load nothing from elsewhere, but for MathJax, which nbgrader takes
from where it always does. Scripts in a page cannot be forbidden: JupyterLab and formgrader are made of them.
So open what is in autograded/, not what is in submitted/.
"""

c = get_config()  # noqa: F821 (Jupyter gives it)

MATHJAX = "https://cdnjs.cloudflare.com/ajax/libs/mathjax/"
POLICY = {
    "default-src": "'self'",
    "script-src": f"'self' 'unsafe-inline' 'unsafe-eval' {MATHJAX}",
    "style-src": f"'self' 'unsafe-inline' {MATHJAX}",
    "font-src": f"'self' data: {MATHJAX}",
    "img-src": "'self' data: blob:",
    "media-src": "'self' data: blob:",
    "connect-src": "'self'",
    "worker-src": "'self' blob:",
    "frame-src": "'self' blob:",
    "frame-ancestors": "'self'",
    "form-action": "'self'",
    "base-uri": "'self'",
    "object-src": "'none'",
}
c.ServerApp.tornado_settings = {
    "headers": {"Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in POLICY.items())}
}
