import { createSocket } from 'node:dgram';

// A program of its own: answers every datagram with what it says. Writes a line when it listens.
const socket = createSocket('udp6');
socket.on('message', (octets, { port, address }) => socket.send(octets, port, address));
socket.bind(Number(process.argv[2]), () => process.stdout.write('listening\n'));
