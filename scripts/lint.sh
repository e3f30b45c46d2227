#!/bin/sh
# The budgets and bans of CONTRIBUTING.md, and cppcheck. Exit 1 when one is broken.
set -u
cd "$(dirname "$0")/.."
for tool in pmccabe cppcheck clang; do
    command -v $tool >/dev/null || { echo "lint: $tool is missing; apt-get install pmccabe cppcheck clang" >&2; exit 1; }
done
bad=0
sources=$(git ls-files -co --exclude-standard '*.c' '*.h')
code=$(echo "$sources" | grep -v '^tests/')

long=$(echo "$code" | xargs pmccabe | awk '$1 > 15 || $5 > 60 {print "  " $6 " " $7 ": complexity " $1 ", " $5 " lines"}')
[ -z "$long" ] || { echo "functions over 60 lines or of complexity over 15:"; echo "$long"; bad=1; }

big=$(echo "$sources" | xargs wc -l | awk '$2 != "total" && $1 > 600 {print "  " $2 ": " $1 " lines"}')
[ -z "$big" ] || { echo "files over 600 lines:"; echo "$big"; bad=1; }

banned=$(grep -nE '\b(sprintf|strcpy|strcat|strtok|atoi|atof|gets|alloca) ?\(' $sources)
[ -z "$banned" ] || { echo "banned calls:"; echo "$banned"; bad=1; }

bare=$(grep -nE '\b(malloc|calloc|realloc|strdup|strndup) ?\(' base/*.c config/*.c wire/*.c probes/*.c alerts/*.c \
    storage/*.c runs/*.c api/*.c delivery/*.c remote/*.c daemon/*.c | grep -v '^base/memory.c:' | grep -v '//.*alloc()')
[ -z "$bare" ] || { echo "memory that is not had through base/memory.h:"; echo "$bare"; bad=1; }

crossed=$(grep -nE '#include [<"](uv|microhttpd|cjson|sqlite3|curl|yaml)' probes/*.[ch] alerts/*.[ch] base/*.[ch])
[ -z "$crossed" ] || { echo "numbers must not meet input and output:"; echo "$crossed"; bad=1; }

cppcheck --quiet --enable=warning,performance,portability --inline-suppr --suppress=missingIncludeSystem \
    --error-exitcode=1 -I. $(echo "$code" | grep '\.c$') || bad=1
make -s CC=clang BUILD=build/clang BIN=build/clang WERROR=-Werror all || bad=1
[ $bad = 0 ] && echo "lint: clean"
exit $bad
