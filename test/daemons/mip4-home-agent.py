"""A Mobile IPv4 home agent for a test: it answers Registration Requests (RFC 5944 3.3, 3.4) on a loopback port.

It shares no code with the project. Argument: the folder in which services-files.sh keeps the mobility security associations.
It prints its port, and then a line for each request. It ends when its standard input ends.
"""
import hashlib
import hmac
import ipaddress
import os
import socket
import struct
import sys
import threading
import time

FOLDER = sys.argv[1]
MN_HA = 32
SKEW = 7


def associations():
    """The associations by SPI; several nodes may have the same."""
    found = {}
    for name in os.listdir(FOLDER):
        if not name.startswith("mip4-"):
            continue
        with open(os.path.join(FOLDER, name)) as file:
            fields = dict(line.rstrip("\n").split(" ", 1) for line in file)
        found.setdefault(int(fields["spi"]), []).append(fields)
    return found


def judge(octets):
    """The code of the reply (RFC 5944 3.4), and the association with which it is authenticated."""
    if len(octets) < 24 or octets[0] != 1:
        return None, None
    home, agent = (str(ipaddress.IPv4Address(octets[at:at + 4])) for at in (4, 8))
    at = 24
    while at < len(octets):
        kind, length = octets[at], octets[at + 1]
        if kind == MN_HA:
            spi = struct.unpack(">I", octets[at + 2:at + 6])[0]
            given = octets[at + 6:at + 2 + length]
            for fields in associations().get(spi, []):
                if fields["home-address"].split("/")[0] != home or fields["home-agent"] != agent:
                    continue
                key = bytes.fromhex(fields["key"][2:])
                # RFC 5944 3.5.1: the UDP payload up to and including the SPI of this extension.
                right = hmac.new(key, octets[:at + 6], hashlib.md5).digest()
                if not hmac.compare_digest(right, given):
                    return 131, fields
                stamp = struct.unpack(">I", octets[16:20])[0] - 2208988800
                return (0 if abs(stamp - time.time()) <= SKEW else 133), fields
            return 131, None
        at += 2 + length
    return 131, None


def reply(request, code, fields):
    body = struct.pack(">BBH", 3, code, 600) + request[4:12] + request[16:24]
    if fields is None:
        return body
    body += struct.pack(">BBI", MN_HA, 20, int(fields["spi"]))
    return body + hmac.new(bytes.fromhex(fields["key"][2:]), body, hashlib.md5).digest()


def serve(server):
    while True:
        octets, peer = server.recvfrom(2048)
        code, fields = judge(octets)
        print("request", code, flush=True)
        if code is not None:
            server.sendto(reply(octets, code, fields), peer)


server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))
print("port", server.getsockname()[1], flush=True)
threading.Thread(target=serve, args=(server,), daemon=True).start()
sys.stdin.read()
