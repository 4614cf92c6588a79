'use strict';
// Replaces string-width in the bundle. Its tables for other scripts and emoji take as long as the rest of the parser of
// command lines, and only text outside of ASCII needs them.
const PLAIN = /^[ -~]*$/;

module.exports = (text, options) =>
  typeof text === 'string' && PLAIN.test(text) ? text.length : require('string-width').default(text, options);
