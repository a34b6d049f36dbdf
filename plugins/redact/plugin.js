// A transform that replaces what matches a regular expression in the texts of a value: card numbers, e-mail addresses.
// A text value is searched as it is, a JSON value in each of its strings (not in the names of its fields).

const CLASS = 'hawser.redact.Redact';
const TEXT = 1;
const JSON_TEXT = 2;
const FIRST_SCHEMA = 16;

const key = (name, order, required, defaultValue, documentation) => ({
  name,
  valueType: 'string',
  default: defaultValue,
  required,
  importance: 'high',
  documentation,
  group: '',
  order,
  width: 'long',
  displayName: name,
  recommended: [],
  dependents: [],
});

// What is wrong with a configuration, or undefined.
function problem(config) {
  try {
    new RegExp(config.get('pattern') ?? '', 'gu');
  } catch (error) {
    return error.message;
  }
}

export const plugin = {
  describe: () => ({
    name: 'redact',
    version: '0.1.0',
    summary: 'A transform that redacts texts, written in JavaScript.',
    classes: [
      {
        name: CLASS,
        aliases: ['Redact'],
        kind: 'transform',
        summary: 'Replaces what matches a regular expression in the texts of a value.',
        config: [
          key('pattern', 1, true, undefined, 'Regular expression of JavaScript, Unicode-aware.'),
          key('replacement', 2, false, '***', 'Text to put in its place; $1 is the first group.'),
        ],
      },
    ],
  }),

  validate: (_class, config) => {
    const keys = new Map(config);
    const error = problem(keys);
    return error === undefined
      ? []
      : [{ name: 'pattern', value: keys.get('pattern'), recommended: [], errors: [error], visible: true }];
  },
};

class Chain {
  constructor(steps) {
    this.steps = steps;
  }

  static start(steps, _predicates) {
    return new Chain(
      steps.map((step) => {
        const config = new Map(step.config);
        const error = problem(config);
        if (error !== undefined) throw { tag: 'invalid-config', val: `transforms.${step.alias}.pattern: ${error}` };
        return { pattern: new RegExp(config.get('pattern'), 'gu'), replacement: config.get('replacement') ?? '***' };
      }),
    );
  }

  apply(batch) {
    const rewriter = new Rewriter(batch);
    for (let index = 0; index < batch.count; index++) {
      rewriter.next(index, (value, schema) => this.redactValue(value, schema));
    }
    return rewriter.finish();
  }

  redactValue(value, schema) {
    if (schema === TEXT) return this.redact(value);
    if (schema !== JSON_TEXT && schema < FIRST_SCHEMA) {
      throw new Error('the value is not a text: use a StringConverter or a JsonConverter');
    }
    return JSON.stringify(JSON.parse(value, (_name, member) => (typeof member === 'string' ? this.redact(member) : member)));
  }

  redact(text) {
    return this.steps.reduce((text, step) => text.replace(step.pattern, step.replacement), text);
  }
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

// Puts new values in the place of a batch's values. The bytes of a record stand in order: its key, its value, then its
// headers' values. A record whose value cannot be changed is left out and reported.
class Rewriter {
  constructor(batch) {
    this.batch = batch;
    this.at = 0; // in the old bytes
    this.header = 0; // in the old headers
    this.pieces = []; // of the new bytes
    this.lengths = []; // of the new values
    this.origins = [];
    this.headers = []; // places of the headers that stay
    this.failures = [];
  }

  next(index, change) {
    const { batch } = this;
    const key = this.take(entry(batch.keyLengths, index, -1));
    const old = entry(batch.valueLengths, index, -1);
    const value = this.take(old);
    const headers = [];
    for (let left = entry(batch.headerCounts, index, 0); left > 0; left--) headers.push(this.header++);
    const tail = headers.map((place) => this.take(batch.headerLengths[place]));
    let changed = value;
    try {
      if (old >= 0) changed = encoder.encode(change(decoder.decode(value), entry(batch.valueSchemas, index, 0)));
    } catch (error) {
      this.failures.push({ index, reason: error.message, step: 0 }); // the first step reads the value, and fails if one does
      return;
    }
    this.pieces.push(key, changed, ...tail);
    this.lengths.push(old >= 0 ? changed.length : -1);
    this.headers.push(...headers);
    this.origins.push(index);
  }

  take(length) {
    const piece = this.batch.data.subarray(this.at, this.at + Math.max(length, 0));
    this.at += piece.length;
    return piece;
  }

  finish() {
    const { batch, origins, headers, failures } = this;
    const records = { ...batch, count: origins.length, data: joined(this.pieces), valueLengths: Int32Array.from(this.lengths) };
    if (failures.length === 0) return { records, origins: new Uint32Array(0), failures };
    for (const column of ['keyLengths', 'keySchemas', 'valueSchemas', 'topicIndexes', 'partitions', 'timestamps', 'offsets', 'headerCounts']) {
      records[column] = picked(batch[column], origins);
    }
    for (const column of ['headerNameIndexes', 'headerLengths', 'headerSchemas']) {
      records[column] = picked(batch[column], headers);
    }
    return { records, origins: Uint32Array.from(origins), failures };
  }
}

// An empty column stands for the same entry everywhere.
function entry(column, index, absent) {
  return column.length === 0 ? absent : column[index];
}

function picked(column, places) {
  return column.length === 0 ? column : column.constructor.from(places, (place) => column[place]);
}

function joined(pieces) {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

export const transform = { Chain };
