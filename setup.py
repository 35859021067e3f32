"""Which packages there are; everything else stands in pyproject.toml.

`data_samples/` lies at the root, where readers look for it, and is installed as `minideeptalk.data_samples`, where programs find it.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["minideeptalk", "minideeptalk.*"]), "minideeptalk.data_samples"],
    package_dir={"minideeptalk": "minideeptalk", "minideeptalk.data_samples": "data_samples"},
)
