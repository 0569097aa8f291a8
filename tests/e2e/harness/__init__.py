# SPDX-License-Identifier: MIT
"""What the end-to-end tests are built from: processes, sockets, origins and hand-made frames."""
