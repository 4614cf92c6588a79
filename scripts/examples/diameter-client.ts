// Exchanges capabilities with a Diameter peer and prints its identity: node out/diameter-client.js HOST PORT
// docs/library.md says how to compile this.
import { connect } from 'node:net';
import {
  APPLICATION,
  CEA,
  CER,
  DiameterFramer,
  Dictionary,
  decodeDiameter,
  encodeDiameter,
  Grammarian,
  isViolation,
  resultName,
} from 'pana-mip6/diameter';

const [host = '::1', port = '3868'] = process.argv.slice(2);
const grammarian = new Grammarian(new Dictionary());
const framer = new DiameterFramer();
const socket = connect(Number(port), host, () => {
  const cer = grammarian.message(CER, APPLICATION.COMMON, {
    'Origin-Host': 'client.example',
    'Origin-Realm': 'example',
    'Host-IP-Address': [Uint8Array.of(127, 0, 0, 1)],
    'Vendor-Id': 0,
    'Product-Name': 'example',
    'Auth-Application-Id': [APPLICATION.EAP],
  });
  socket.write(encodeDiameter(cer));
});
socket.on('data', (chunk) => {
  for (const octets of framer.push(chunk)) {
    const cea = grammarian.read(CEA, decodeDiameter(octets));
    console.log(isViolation(cea) ? cea.text : `${cea['Origin-Host']}: ${resultName(cea['Result-Code'])}`);
    socket.end();
  }
});
