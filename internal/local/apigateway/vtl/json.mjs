// JSON as Java reads it: every digit of a number is kept.

/** A number whose text JavaScript would change: 1.0, 1e3, or more digits than a double holds. */
export class Decimal {
  constructor(source) { this.source = source; }
  valueOf() { return Number(this.source); }
  toString() { return this.source; }
  toJSON() { return JSON.rawJSON(this.source); }
}

// Numbers that may not survive a double. A false alarm, in a string for example, only costs time.
const delicate = /\d{16}|\.\d*0(?!\d)|\d[eE]|-0/;

const keepDigits = (_, value, { source }) =>
  typeof value === 'number' && String(value) !== source ? new Decimal(source) : value;

export const parse = (text) => delicate.test(text) ? JSON.parse(text, keepDigits) : JSON.parse(text);

export const stringify = (value) => JSON.stringify(value);
