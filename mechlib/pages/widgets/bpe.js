// Byte-level byte-pair encoding, both ways, from the same JSON file that mechlib.text.tokens reads.

// What may become one token. \p{White_Space}, not \s: JavaScript's \s counts the byte-order mark as
// white space and leaves out the next-line sign.
const PIECES = /[ _]?\p{L}+| ?\p{N}{1,2}| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

// Each byte is written as a printable character (GPT-2's table): character -> byte.
function byte_of_character() {
  const printable = [], others = [], table = new Map();
  for (let b = 0; b < 256; b++) ((b >= 33 && b < 127) || (b >= 161 && b < 173) || b >= 174 ? printable : others).push(b);
  for (const b of printable) table.set(String.fromCodePoint(b), b);
  others.forEach((b, i) => table.set(String.fromCodePoint(256 + i), b));
  return table;
}

// {size, separator, encode(text), decode(ids), token(id)}
export function read_tokenizer(json) {
  const { model, added_tokens } = JSON.parse(json), separator = added_tokens[0];
  const table = byte_of_character(), size = Object.keys(model.vocab).length;
  const bytes_of = [], first = new Array(256), ranks = new Map();
  for (const [name, id] of Object.entries(model.vocab)) {
    bytes_of[id] = name === separator.content ? new TextEncoder().encode(name) : Uint8Array.from(name, (c) => table.get(c));
    if (bytes_of[id].length === 1) first[bytes_of[id][0]] = id;
  }
  model.merges.forEach((merge, rank) => {
    const [left, right] = Array.isArray(merge) ? merge : merge.split(" ");
    ranks.set(model.vocab[left] * size + model.vocab[right], [rank, model.vocab[left + right]]);
  });

  // The pair that was learned first is joined first, everywhere, until no known pair is left.
  function join(ids) {
    for (;;) {
      let best = Infinity, wanted = -1;
      for (let i = 0; i + 1 < ids.length; i++) {
        const rank = ranks.get(ids[i] * size + ids[i + 1])?.[0];
        if (rank < best) [best, wanted] = [rank, ids[i] * size + ids[i + 1]];
      }
      if (wanted < 0) return ids;
      const joined = [], whole = ranks.get(wanted)[1];
      for (let i = 0; i < ids.length; i++)
        if (i + 1 < ids.length && ids[i] * size + ids[i + 1] === wanted) { joined.push(whole); i++; } else joined.push(ids[i]);
      ids = joined;
    }
  }

  function encode(text) {
    const found = [], known = new Map();
    text.split(separator.content).forEach((part, number) => {
      if (number) found.push(separator.id);
      for (const [piece] of part.matchAll(PIECES)) {
        if (!known.has(piece)) known.set(piece, join(Array.from(new TextEncoder().encode(piece), (b) => first[b])));
        for (const id of known.get(piece)) found.push(id);
      }
    });
    return found;
  }
  const decode = (ids) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(Array.from(ids).flatMap((id) => [...bytes_of[id]])));
  const names = bytes_of.map(escaped);
  return { size, separator: separator.id, encode, decode, token: (id) => names[id], names };
}

// Bytes as text to show; those that are no whole character as \xe2.
function escaped(raw) {
  let text = "";
  for (let i = 0; i < raw.length; ) {
    let width = [1, 2, 3, 4].find((w) => {
      if (i + w > raw.length) return false;
      try { new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(raw.subarray(i, i + w)); return true; } catch { return false; }
    });
    text += width ? new TextDecoder("utf-8", { ignoreBOM: true }).decode(raw.subarray(i, i + width)) : `\\x${raw[i].toString(16).padStart(2, "0")}`;
    i += width ?? 1;
  }
  return text;
}

// A vocabulary of words between blanks, or of single characters, with the same interface.
export function read_vocabulary(names, level = "word") {
  const ids = new Map(names.map((name, i) => [name, i])), joint = level === "word" ? " " : "";
  const encode = (text) => (level === "word" ? text.split(/\s+/u).filter(Boolean) : Array.from(text)).map((part) => {
    if (!ids.has(part)) throw new PlainError(`“${part}” is not one of the ${names.length} ${level}s that this model knows, such as “${names[0]}” and “${names.at(-1)}”.`);
    return ids.get(part);
  });
  return { size: names.length, separator: null, encode, decode: (all) => Array.from(all, (id) => names[id]).join(joint), token: (id) => names[id], names };
}
