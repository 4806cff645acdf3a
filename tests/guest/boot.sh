#!/bin/bash
# boot.sh KERNEL INITRAMFS [G_NAME=VALUE...]: boots the guest and prints its console.
#
# In the deterministic mode one virtual nanosecond is one guest instruction, idle time is skipped, and a run repeats to
# the digit. CLOCK=wall gives clocks that follow the wall, several CPUs with SMP. MEM in MiB, LIMIT in seconds.
set -euo pipefail
kernel=$1 image=$2
shift 2
clock=(-icount "shift=0,sleep=off" -rtc "base=2026-01-01T00:00:00,clock=vm" -seed 1)
cpu="max,-rdrand,-rdseed,-la57,+invtsc,tsc-frequency=1000000000"
if [ "${CLOCK:-instructions}" = wall ]; then
    clock=()
    cpu="max,-la57"
fi
exec timeout "${LIMIT:-900}" qemu-system-x86_64 -accel tcg -nodefaults -no-user-config -machine pc,hpet=off \
    -cpu "$cpu" -smp "${SMP:-1}" -m "${MEM:-1024}" -display none -nic none -serial stdio -no-reboot "${clock[@]}" \
    -kernel "$kernel" -initrd "$image" \
    -append "console=ttyS0 quiet loglevel=3 panic=-1 nokaslr norandmaps tsc=reliable clocksource=tsc lpj=4000000 random.trust_bootloader=on mitigations=off selinux=0 apparmor=0 audit=0 rdinit=/init $*" </dev/null
