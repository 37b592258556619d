"""A mirror of a shop as one would write it in an afternoon: the yardstick beside
which `ostatok sync --once` is timed. It downloads the catalogue and all
documents, keeps cards, documents, lines and bodies in SQLite, and computes the
stock by the guide's rule (the newest document of a product wins).

    mirror.py URL STORE TOKEN FILE
"""
import json
import sqlite3
import sys
import urllib.parse
import urllib.request
from decimal import Decimal

SCHEMA = """
CREATE TABLE product (id TEXT PRIMARY KEY, code TEXT, name TEXT, type TEXT, measure TEXT, parent TEXT, article TEXT,
    barcodes TEXT, cloud INTEGER, updated TEXT);
CREATE TABLE document (number INTEGER PRIMARY KEY, id TEXT UNIQUE, type TEXT, device TEXT, counter INTEGER,
    closed TEXT, arrived TEXT);
CREATE TABLE line (document INTEGER, product TEXT, quantity INTEGER, stated INTEGER, settlement TEXT);
CREATE INDEX line_product ON line (product);
CREATE TABLE body (document INTEGER PRIMARY KEY, json TEXT);
CREATE TABLE stock (product TEXT PRIMARY KEY, quantity INTEGER, document INTEGER);
"""

SIGN = {"SELL": -1, "RETURN": -1, "WRITE_OFF": -1, "BUYBACK": -1, "OPEN_TARE": -1, "PAYBACK": 1, "ACCEPT": 1, "BUY": 1}
UNPAID = {"PREPAYMENT_FULL", "PREPAYMENT_PARTIAL", "ADVANCE"}


def pages(url, path, token):
    cursor = None
    while True:
        address = url + path
        if cursor:
            address += "?" + urllib.parse.urlencode({"cursor": cursor})
        request = urllib.request.Request(address, headers={"Authorization": "Bearer " + token})
        with urllib.request.urlopen(request) as response:
            page = json.load(response, parse_float=Decimal)
        yield page["items"]
        cursor = page["paging"].get("next_cursor")
        if not cursor:
            return


def thousandths(value):
    return None if value is None else int(Decimal(value) * 1000)


def lines(positions):
    for position in positions:
        yield position
        yield from lines(position.get("sub_positions") or ())


def main(url, store, token, file):
    db = sqlite3.connect(file)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.executescript(SCHEMA)

    for items in pages(url, f"/stores/{store}/products", token):
        with db:
            db.executemany("INSERT INTO product VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (
                (p["id"], p["code"], p["name"], p["type"], p["measure_name"], p["parent_id"], p["article_number"],
                 "\n".join(p["barcodes"]), thousandths(p.get("quantity")), p["updated_at"]) for p in items))

    number = 0
    for items in pages(url, f"/stores/{store}/documents", token):
        with db:
            for d in items:
                number += 1
                db.execute("INSERT INTO document VALUES (?, ?, ?, ?, ?, ?, ?)", (
                    number, d["id"], d["type"], d["device_id"], d["number"], d["close_date"], d["created_at"]))
                db.execute("INSERT INTO body VALUES (?, ?)", (number, json.dumps(d, ensure_ascii=False, default=str)))
                db.executemany("INSERT INTO line VALUES (?, ?, ?, ?, ?)", (
                    (number, p["product_id"], thousandths(p.get("quantity")), thousandths(p.get("initial_quantity")),
                     (p.get("settlement_method") or {}).get("type")) for p in lines(d["body"].get("positions") or ())))

    with db:
        newest = {}
        for document, kind, product, quantity, stated, settlement in db.execute(
                "SELECT d.number, d.type, l.product, l.quantity, l.stated, l.settlement FROM document d"
                " JOIN line l ON l.document = d.number ORDER BY d.closed, d.device, d.counter"):
            if kind == "INVENTORY":
                newest[product] = (quantity, document)
            elif kind in SIGN and stated is not None:
                moved = 0 if settlement in UNPAID else SIGN[kind] * quantity
                newest[product] = (stated + moved, document)
        db.executemany("INSERT INTO stock VALUES (?, ?, ?)", ((p, *level) for p, level in newest.items() if p))
    db.close()


main(*sys.argv[1:])
