#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes ./configure from configure.ac, for a clone; a release has it already.
set -e
cd "$(dirname "$0")"
exec autoreconf --force --install "$@"
