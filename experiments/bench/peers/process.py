"""How soon a Python process has its library."""
import subprocess
import sys


def importing(name):
    def make():
        __import__(name)
        return lambda: subprocess.run([sys.executable, "-c", "import " + name], check=True)
    return make


FORMS = {"import_numpy": importing("numpy"), "import_torch": importing("torch")}
