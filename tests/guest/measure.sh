# What the scenarios measure with. Sourced by init.

# start GROUP COMMAND...: runs it in the background in a cgroup of its own; its process id is in $PID.
start() {
    group=$1
    shift
    mkdir -p "/sys/fs/cgroup/$group"
    sh -c "echo \$\$ >/sys/fs/cgroup/$group/cgroup.procs; exec \"\$@\"" x "$@" &
    PID=$!
}

# wait_port PORT: until something listens on it, at most 20 s.
wait_port() {
    tries=0
    until grep -q ":$(printf %04X "$1") 00000000.*:0000 0A" /proc/net/tcp /proc/net/tcp6 2>/dev/null; do
        sleep 0.05
        tries=$((tries + 1))
        [ $tries -gt 400 ] && return 1
    done
}

# cpu GROUP: microseconds (thousands of instructions in the deterministic mode) used so far.
cpu() { awk '/^usage_usec/ { print $2 }' "/sys/fs/cgroup/$1/cpu.stat"; }

# own GROUP: the part of it that was spent outside the kernel.
own() { awk '/^user_usec/ { print $2 }' "/sys/fs/cgroup/$1/cpu.stat"; }

# rss PID: resident memory and its peak, KiB.
rss() { awk '/^VmRSS|^VmHWM/ { printf "%s %s ", $1, $2 }' "/proc/$1/status"; }

# ring PID: KiB of its resident memory that is the kernel's ring buffer, mapped in it (its data twice in a row).
ring() { awk '/^[0-9a-f]+-/ { on = /bpf-map/ } /^Rss:/ && on { n += $2 } END { print n + 0 }' "/proc/$1/smaps"; }

# maps PID: KiB of the BPF maps and programs that a process holds, as the kernel accounts them.
maps() {
    for f in /proc/"$1"/fdinfo/*; do
        awk '/^map_id/ { k = "map " $2 } /^prog_id/ { k = "prog " $2 } /^memlock/ { m = $2 } END { if (k != "") print k, m }' "$f" 2>/dev/null
    done | sort -u | awk '$1 == "map" { a += $3 } $1 == "prog" { b += $3 } END { printf "maps %d programs %d", a / 1024, b / 1024 }'
}
