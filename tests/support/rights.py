"""What the user who runs the tests may do: root in a container, for one, may mount nothing."""

import subprocess
from typing import Final

MAY_MOUNT: Final = not subprocess.run(["sh", "-c", "unshare --mount true"], capture_output=True, check=False).returncode
