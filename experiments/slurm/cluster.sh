#!/usr/bin/env bash
# A Slurm cluster of this one machine, for trials: starts it in a folder, or stops it.
#     apt-get install slurm-wlm munge
#     [CPUS=1] experiments/slurm/cluster.sh start FOLDER     then: export SLURM_CONF=FOLDER/slurm.conf
#     experiments/slurm/cluster.sh stop FOLDER
set -euo pipefail
folder=$(realpath -m "$2")
if [ "$1" = stop ]; then
    for name in slurmd slurmctld munged; do
        if [ -f "$folder/$name.pid" ]; then kill "$(cat "$folder/$name.pid")" || true; fi
    done
    exit
fi
mkdir -p "$folder/state" "$folder/spool"
cat > "$folder/slurm.conf" <<END
ClusterName=trial
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1
ReturnToService=2
MpiDefault=none
JobRequeue=1
KillWait=5
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=${CPUS:-$(nproc)} State=UNKNOWN
PartitionName=trial Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
dd if=/dev/urandom of="$folder/munge.key" bs=1024 count=1 status=none
chmod 400 "$folder/munge.key"
munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
    --log-file="$folder/munged.log" --seed-file="$folder/munge.seed"
slurmctld -f "$folder/slurm.conf"
slurmd -f "$folder/slurm.conf"
for _ in $(seq 30); do
    if SLURM_CONF="$folder/slurm.conf" sinfo -h -o %t 2> /dev/null | grep -q idle; then exit 0; fi
    sleep 1
done
echo "the cluster does not come up: see $folder/*.log" >&2
exit 1
