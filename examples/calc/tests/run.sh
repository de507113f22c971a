#!/bin/sh
# Runs each tests/*.calc and compares what it prints with the file .expected beside it: sh tests/run.sh PROGRAM
set -u
case $1 in
/*) program=$1 ;;
*) program=$PWD/$1 ;;
esac
directory=$(dirname "$0")
failed=0
count=0
for source in "$directory"/*.calc; do
  count=$((count + 1))
  name=$(basename "$source" .calc)
  if ! (cd "$directory" && exec "$program" "$name.calc") 2>&1 | diff "$directory/$name.expected" -; then
    echo "$name failed" >&2
    failed=$((failed + 1))
  fi
  # the canonical spelling of a program does what the program does; a program with errors has none
  case $name in errors*) continue ;; esac
  if ! "$program" -u -f "$source" | "$program" /dev/stdin | diff "$directory/$name.expected" -; then
    echo "$name failed after formatting" >&2
    failed=$((failed + 1))
  fi
done
echo "$count programs, $failed failures"
[ "$failed" -eq 0 ]
