import { createSocket } from 'node:dgram';

// A separate program that echoes every datagram. It prints a line when it listens.
// Arguments: port, address (default: any).
const [port, address] = process.argv.slice(2);
const socket = createSocket('udp6');
// While the home address is absent, the echo cannot be sent.
socket.on('error', () => undefined);
socket.on('message', (octets, from) => socket.send(octets, from.port, from.address, () => undefined));
socket.bind(Number(port), address, () => process.stdout.write('listening\n'));
