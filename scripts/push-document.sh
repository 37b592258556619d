#!/bin/sh
# Sends documents to the box in the shop, as a terminal's application or a relay
# does: one V2 document or an array of them, from a file or from standard input.
#
#   TOKEN_FILE=/etc/ostatok/access scripts/push-document.sh http://192.168.1.20:8480 receipt.json
#
# A document is safe when the box has answered 200. Everything else, and no answer
# at all, means: keep it and send it again; sending it twice does no harm.
set -eu

box=${1:?usage: push-document.sh http://BOX:8480 [FILE]}
file=${2:--}
# The line of the access file that is neither a comment nor the hash of the
# people's access code. It goes to curl through a file, not through its arguments,
# which every process on the machine can read.
token=$(grep -v -e '^[[:space:]]*#' -e '^[[:space:]]*\$' -e '^[[:space:]]*$' "${TOKEN_FILE:?name the file that holds the token}" | head -n 1 | tr -d '[:space:]')
header=$(mktemp)
trap 'rm -f "$header"' EXIT
trap 'exit 1' HUP INT TERM
printf 'Authorization: Bearer %s\n' "$token" >"$header"

# 429 and 5xx are repeated with growing pauses, or as Retry-After says. A body from
# standard input is read once, so it is kept in a file for that.
if [ "$file" = - ]; then
	body=$(mktemp)
	trap 'rm -f "$header" "$body"' EXIT
	cat >"$body"
	file=$body
fi
curl --silent --show-error --fail-with-body --max-time 30 --retry 5 --retry-connrefused \
	--request PUT --header @"$header" --header 'Content-Type: application/json' \
	--data-binary @"$file" "$box/documents"
