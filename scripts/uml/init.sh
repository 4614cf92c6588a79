#!/bin/sh
# The first process of the user-mode Linux in which "pana-mip6 lab --kernel uml" runs. Its root is the host's, read-only.
# LAB_FOLDER, from the kernel's command line, is a folder of the host with a script "command"; its exit status is written
# to the file "status". The standard output and error of the command go to the serial lines 0 and 1.

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
HOME=/root
export PATH HOME
# In this folder of the guest is LAB_FOLDER.
FOLDER=/run/pana-uml

power_off() {
	sync
	echo o >/proc/sysrq-trigger
	# The kernel needs a moment.
	sleep 10
}

# memory MODE PATH: an empty file system at a folder of the host, if there is such a folder.
memory() {
	[ ! -d "$2" ] || mount -t tmpfs -o "mode=$1" tmpfs "$2" || echo "cannot mount $2"
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
for folder in /run /var /etc/swanctl; do memory 755 "$folder"; done
memory 1777 /tmp
memory 700 /root
mkdir -p /run/lock /run/netns /var/lib /var/log /var/racoon /var/tmp /dev/net /dev/pts /dev/shm
ln -s /run /var/run
ln -s /run/lock /var/lock
memory 1777 /dev/shm
mount -t devpts devpts /dev/pts
[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
mkdir "$FOLDER"
mount -t hostfs -o "$LAB_FOLDER" none "$FOLDER"

# Programs and this package, where one of the empty file systems hides them.
while read -r path; do
	[ -e "$path" ] || { mkdir -p "$path" && mount -t hostfs -o "ro,$path" none "$path"; } || echo "cannot mount $path"
done <"$FOLDER/paths"

# The kernel loads modules from the folder of Debian's package. The hosts of the lab have other files in /run.
mkdir -p /var/lib/uml/lib/modules
ln -s "/usr/lib/uml/modules/$(uname -r)" /var/lib/uml/lib/modules/
printf '#!/bin/sh\nexec modprobe -d /var/lib/uml "$@"\n' >/var/lib/uml/modprobe
chmod 755 /var/lib/uml/modprobe
echo /var/lib/uml/modprobe >/proc/sys/kernel/modprobe
# Most others are loaded when they are used. Those of ESP would hold up the first IKE_AUTH exchange for seconds.
/var/lib/uml/modprobe -a ipv6 xfrm_user esp6 authenc cbc hmac aes_generic sha256_generic tunnel6 bridge veth ||
	echo "cannot load modules"
ip link set lo up

stty -F /dev/ttyS0 raw -echo
stty -F /dev/ttyS1 raw -echo
# The line ends when the program that started this kernel does.
{
	cat /dev/ttyS0 >/dev/null 2>&1
	power_off
} &
sh "$FOLDER/command" </dev/null >/dev/ttyS0 2>/dev/ttyS1
echo $? >"$FOLDER/status"
power_off
