#!/bin/sh
# Install the Debian packages whose programs the tests run, where they are missing.
#
# As root it installs them; else it prints the one command that does.  A service that such a package brings is not
# started: the tests start their own, on free ports of 127.0.0.1.
set -eu

# program                package
wanted='
influxd                  influxdb
influx                   influxdb-client
victoria-metrics         victoria-metrics
chromium                 chromium
chromedriver             chromium-driver
cloc                     cloc
sloccount                sloccount
nginx                    nginx
apache2                  apache2
postgres                 postgresql
mariadbd                 mariadb-server
hyperfine                hyperfine
shellcheck               shellcheck
cppcheck                 cppcheck
ninja                    ninja-build
/usr/bin/time            time
clang                    clang
gcc                      gcc
'

PATH=$PATH:/usr/sbin:/sbin
for folder in /usr/lib/postgresql/*/bin; do  # Debian keeps each release's programs in a folder of its own
    PATH=$PATH:$folder
done
missing=$(printf '%s\n' "$wanted" | while read -r program package; do
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
