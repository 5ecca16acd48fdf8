# Sourced by ./run and ./test: the Python environment in .venv, made once and kept up to date.

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "audiosearch needs Python 3.11 or newer; found: $(python3 --version 2>&1 || echo none)." >&2
    echo "Install it, or name it: PYTHON=/path/to/python3.11 ./run" >&2
    return 1
}

# make_venv FOLDER: a virtual environment there, made anew when the folder was moved.
make_venv() {
    local folder="$1" python
    if [ -x "$folder/bin/python" ] && "$folder/bin/python" -c '' 2>/dev/null &&
        grep -qF "$PWD/$folder" "$folder/bin/pip" 2>/dev/null; then
        return
    fi
    python="$(find_python)"
    rm -rf "$folder"
    if ! "$python" -m venv "$folder"; then
        echo "Could not make an environment with $python; on Debian: apt-get install python3-venv" >&2
        return 1
    fi
}

# install_into FOLDER STAMP PIP-ARGUMENTS…: pip install, only when the stamp changed. Nothing is
# compiled ahead: Python does that when it first imports a module, and most are never imported.
install_into() {
    local folder="$1" stamp="$2" log
    shift 2
    if [ "$(cat "$folder/.installed" 2>/dev/null)" = "$stamp" ]; then
        return
    fi
    echo "Installing ${*: -1} into $folder; the first time this takes a minute or two …"
    log="$(mktemp)"
    if ! "$folder/bin/python" -m pip install --disable-pip-version-check --no-compile "$@" >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        echo "The installation failed; the reason is above. Mend it and start again." >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
    echo "$stamp" >"$folder/.installed"
}

# make_environment REQUIREMENTS: .venv with these requirements.
make_environment() {
    make_venv .venv
    # What ./test installs includes what ./run needs, so its stamp serves both.
    local stamp
    stamp="$(cat requirements*.txt | cksum) $1"
    if [ "$(cat .venv/.installed 2>/dev/null)" = "$stamp" ]; then
        return
    fi
    if [ "$1" = requirements.txt ] &&
        [ "$(cat .venv/.installed 2>/dev/null)" = "${stamp%"$1"}requirements-dev.txt" ]; then
        return
    fi
    install_into .venv "for $stamp" --no-deps -r requirements-bare.txt
    install_into .venv "$stamp" $(installed_extras) -r "$1"
    if [ "$1" = requirements-dev.txt ]; then
        # Else each worker of ./test would do it; some packages carry files of other Pythons.
        .venv/bin/python -m compileall -qq -j 0 .venv/lib >/dev/null || true
    fi
}

# installed_extras: the options by which pip keeps up the extras that are in .venv already.
installed_extras() {
    local extra
    for extra in torch:torch wavlm:transformers plots:matplotlib; do
        if compgen -G ".venv/lib/python3*/site-packages/${extra#*:}" >/dev/null; then
            echo "-r requirements-${extra%:*}.txt"
        fi
    done
}
