#!/usr/bin/env bash
# The least that a first sync can cost: the same bytes downloaded by curl, page by
# page, and the same rows loaded by the C sqlite3 shell.
#
#   floor.sh URL STORE TOKEN ROWS DIR
#
# ROWS holds product.csv, document.csv and line.csv, made beforehand.
set -euo pipefail
url=$1 store=$2 token=$3 rows=$4 dir=$5

download() { # PATH
  local cursor="" n=0
  while :; do
    curl -sS --fail -G -H "Authorization: Bearer $token" ${cursor:+--data-urlencode "cursor=$cursor"} \
      -o "$dir/page" "$url/stores/$store/$1"
    n=$((n + 1))
    cursor=$(tail -c 256 "$dir/page" | LC_ALL=C sed -n 's/.*"next_cursor":"\([^"]*\)".*/\1/p')
    [ -n "$cursor" ] || break
  done
  echo "$1: $n pages" >&2
}
download products
download documents

sqlite3 -bail "$dir/floor.db" >"$dir/out" <<SQL
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE product (id TEXT PRIMARY KEY, code TEXT, name TEXT, type TEXT, measure TEXT, parent TEXT, article TEXT,
    barcodes TEXT, cloud INTEGER, updated TEXT);
CREATE TABLE document (number INTEGER PRIMARY KEY, id TEXT UNIQUE, type TEXT, device TEXT, counter INTEGER,
    closed TEXT, arrived TEXT);
CREATE TABLE line (document INTEGER, product TEXT, quantity INTEGER, stated INTEGER, settlement TEXT);
CREATE INDEX line_product ON line (product);
.mode csv
.import $rows/product.csv product
.import $rows/document.csv document
.import $rows/line.csv line
SQL
