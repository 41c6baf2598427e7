# SPDX-License-Identifier: Apache-2.0
# What scripts/style is made of: tree.py reads files, csource.py reads C, checks*.py judge.
