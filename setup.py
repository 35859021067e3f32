"""Which packages there are; everything else stands in pyproject.toml.

`data_samples/` and `book/records/` lie where readers look for them, and are installed as `minideeptalk.data_samples` and
`minideeptalk.book_records`, where programs find them.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["minideeptalk", "minideeptalk.*"]), "minideeptalk.data_samples", "minideeptalk.book_records"],
    package_dir={"minideeptalk": "minideeptalk", "minideeptalk.data_samples": "data_samples", "minideeptalk.book_records": "book/records"},
)
