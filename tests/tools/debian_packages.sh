#!/bin/sh
# Install the Debian packages whose programs the tests run, where they are missing: `check`, `unit`, `all` or `soak`.
#
# As root it installs them; else it prints the one command that does.  A service that such a package brings is not
# started: the tests start their own, on free ports of 127.0.0.1.
set -eu

# Each group includes those above it.
# program                package                group
wanted='
cloc                     cloc                   check
sloccount                sloccount              check
hyperfine                hyperfine              check
shellcheck               shellcheck             check
cppcheck                 cppcheck               check
ninja                    ninja-build            check
/usr/bin/time            time                   check
clang                    clang                  check
gcc                      gcc                    check
influxd                  influxdb               unit
influx                   influxdb-client        unit
victoria-metrics         victoria-metrics       unit
chromium-headless-shell  chromium-headless-shell  all
nginx                    nginx                  all
apache2                  apache2                all
postgres                 postgresql             all
mariadbd                 mariadb-server         all
docker-compose           docker-compose         all
systemd-analyze          systemd                all
wine                     wine                   soak
'

case ${1:-all} in
check) groups=' check ' ;;
unit) groups=' check unit ' ;;
all) groups=' check unit all ' ;;
soak) groups=' check unit all soak ' ;;
*)
    echo "$0: expected check, unit, all or soak, got $1" >&2
    exit 2
    ;;
esac

PATH=$PATH:/usr/sbin:/sbin
for folder in /usr/lib/postgresql/*/bin; do  # Debian keeps each release's programs in a folder of its own
    PATH=$PATH:$folder
done
missing=$(printf '%s\n' "$wanted" | while read -r program package group; do
    case $groups in *" $group "*) ;; *) continue ;; esac
    [ -z "$program" ] || command -v "$program" >/dev/null || printf '%s ' "$package"
done)
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "The tests need programs that Debian has in these packages; install them as your system does: $missing" >&2
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    echo "The tests need some Debian packages. Run: sudo apt-get install --no-install-recommends $missing" >&2
    exit 1
fi

policy=${POLICY:-/usr/sbin/policy-rc.d}
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi

echo "Installing Debian packages: $missing"
apt-get update -qq
# shellcheck disable=SC2086  # a list of names
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing
