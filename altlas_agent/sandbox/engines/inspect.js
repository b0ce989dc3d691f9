// How node shows values: `format` writes what console.log of these arguments would.
// Part of the body of one function, before prelude.js, after `leave(why)`, which gives the program to node.
// What is shown here is what node shows, to the letter; whatever is not sure to be is left to node.

const { defineProperty, getOwnPropertyDescriptor, getOwnPropertySymbols, getPrototypeOf, hasOwn, keys } = Object;
const { isArray } = Array;
const { floor, max, min, round, sqrt } = Math;
const { stringify } = JSON;
const { apply } = Reflect;
const tagOf = Object.prototype.toString;
const isEnumerable = Object.prototype.propertyIsEnumerable;
const sourceOf = Function.prototype.toString;
const numberText = Number.prototype.toString;
const symbolText = Symbol.prototype.toString;
const regexText = RegExp.prototype.toString;
const sizeOfMap = getOwnPropertyDescriptor(Map.prototype, "size").get;
const sizeOfSet = getOwnPropertyDescriptor(Set.prototype, "size").get;
const eachOfMap = Map.prototype.forEach;
const eachOfSet = Set.prototype.forEach;
const { charCodeAt, includes, padEnd, padStart, repeat, slice, startsWith } = String.prototype;
const { ArrayPrototype, MapPrototype, SetPrototype, RegExpPrototype } = {
  ArrayPrototype: Array.prototype,
  MapPrototype: Map.prototype,
  SetPrototype: Set.prototype,
  RegExpPrototype: RegExp.prototype,
};

const BREAK = 80;
const COMPACT = 3;
const DEPTH = 2;
const MOST_ITEMS = 100;
const MOST_CHARACTERS = 10000;
const NAMED_ESCAPES = { __proto__: null, 8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 39: "\\'", 92: "\\\\" };

function has(text, part) {
  return apply(includes, text, [part]);
}

function join(parts, between) {
  let text = "";
  for (let i = 0; i < parts.length; i++) text += i ? between + parts[i] : parts[i];
  return text;
}

function spaces(count) {
  return apply(repeat, " ", [count]);
}

function isAscii(text) {
  for (let i = 0; i < text.length; i++) if (apply(charCodeAt, text, [i]) > 126) return false;
  return true;
}

function isName(text) {
  for (let i = 0; i < text.length; i++) {
    const code = apply(charCodeAt, text, [i]) | 32;
    const digit = code >= 48 && code <= 57 && code === apply(charCodeAt, text, [i]);
    const letter = (code >= 97 && code <= 122) || apply(charCodeAt, text, [i]) === 95;
    if (!letter && !(digit && i)) return false;
  }
  return text !== "";
}

function quoted(text) {
  let quote = "'";
  if (has(text, "'")) quote = !has(text, '"') ? '"' : has(text, "`") || has(text, "${") ? "'" : "`";
  let written = quote;
  for (let i = 0; i < text.length; i++) {
    const code = apply(charCodeAt, text, [i]);
    if (code === 39 && quote !== "'") written += "'";
    else if (NAMED_ESCAPES[code]) written += NAMED_ESCAPES[code];
    else if (code < 32 || (code > 126 && code < 160)) written += "\\x" + (code < 16 ? "0" : "") + upper(code);
    else if (code < 0xd800 || code > 0xdfff) written += text[i];
    else if (isPair(text, i, code)) written += text[i] + text[++i];
    else written += "\\u" + apply(numberText, code, [16]);
  }
  return written + quote;
}

function upper(code) {
  return code === 127 ? "7F" : floor(code / 16) ? floor(code / 16) + "0123456789ABCDEF"[code % 16] : "0123456789ABCDEF"[code];
}

function isPair(text, i, code) {
  const next = i + 1 < text.length ? apply(charCodeAt, text, [i + 1]) : 0;
  return code < 0xdc00 && next >= 0xdc00 && next <= 0xdfff;
}

function shownString(state, text) {
  let rest = "";
  if (text.length > MOST_CHARACTERS) {
    const more = text.length - MOST_CHARACTERS;
    text = apply(slice, text, [0, MOST_CHARACTERS]);
    rest = `... ${more} more character${more > 1 ? "s" : ""}`;
  }
  if (text.length <= 16 || text.length <= BREAK - state.indent - 4) return quoted(text) + rest;
  const lines = [];
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== "\n" && i + 1 < text.length) continue;
    lines[lines.length] = quoted(apply(slice, text, [from, i + 1]));
    from = i + 1;
  }
  return join(lines, ` +\n${spaces(state.indent + 2)}`) + rest;
}

function shownPrimitive(state, value) {
  switch (typeof value) {
    case "string":
      return shownString(state, value);
    case "number":
      return shownNumber(value);
    case "bigint":
      return `${value}n`;
    case "symbol":
      return apply(symbolText, value, []);
    default:
      return `${value}`;
  }
}

function shownNumber(value) {
  return value === 0 && 1 / value < 0 ? "-0" : `${value}`;
}

function constructorName(value) {
  for (let each = value; each !== null; each = getPrototypeOf(each)) {
    const found = getOwnPropertyDescriptor(each, "constructor");
    if (found === undefined || typeof found.value !== "function") continue;
    const { name } = found.value;
    if (typeof name !== "string") leave("a function without a name of its own");
    if (name !== "" && value instanceof found.value) return name;
  }
  return null;
}

function ownKeys(value, isList) {
  const names = keys(value);
  const symbols = getOwnPropertySymbols(value);
  for (let i = 0; i < symbols.length; i++) {
    if (apply(isEnumerable, value, [symbols[i]])) leave("a key that is a symbol");
  }
  if (!isList) return names;
  const named = [];
  for (let i = 0; i < names.length; i++) if (!isIndex(names[i])) named[named.length] = names[i];
  return named;
}

function isIndex(name) {
  const number = +name;
  return number >= 0 && number < 4294967295 && floor(number) === number && `${number}` === name;
}

function functionBase(value, name) {
  const source = apply(sourceOf, value, []);
  const own = getOwnPropertyDescriptor(value, "name");
  if (own !== undefined && typeof own.value !== "string") leave("a function with a name of another kind");
  if (name !== "Function") leave("a function of another kind");
  if (apply(startsWith, source, ["class"]) && source[source.length - 1] === "}") {
    const parent = getPrototypeOf(value);
    const from = parent && parent.name ? ` extends ${parent.name}` : "";
    return `[class ${own && own.value !== "" ? own.value : "(anonymous)"}${from}]`;
  }
  return own && own.value !== "" ? `[Function: ${own.value}]` : "[Function (anonymous)]";
}

// The parts of a value: what stands before, the brackets, how its items are written, how many there are.
function anatomy(value) {
  const name = constructorName(value);
  switch (apply(tagOf, value, [])) {
    case "[object Array]":
      if (getPrototypeOf(value) !== ArrayPrototype) leave("a list of another kind");
      return { __proto__: null, name, open: "[", close: "]", items: listItems, size: value.length, empty: "[]" };
    case "[object Object]":
      if (Symbol.toStringTag in value) leave("a name of its own kind");
      return objectAnatomy(value, name);
    case "[object Function]":
      return { __proto__: null, name, base: functionBase(value, name), open: "{", close: "}" };
    case "[object RegExp]":
      if (getPrototypeOf(value) !== RegExpPrototype) leave("a pattern of another kind");
      return { __proto__: null, name, base: apply(regexText, value, []), open: "{", close: "}" };
    case "[object Map]":
      if (getPrototypeOf(value) !== MapPrototype) leave("a map of another kind");
      return collectionAnatomy(name, mapItems, apply(sizeOfMap, value, []));
    case "[object Set]":
      if (getPrototypeOf(value) !== SetPrototype) leave("a set of another kind");
      return collectionAnatomy(name, setItems, apply(sizeOfSet, value, []));
    default:
      return leave(`showing ${apply(tagOf, value, [])}`);
  }
}

function objectAnatomy(value, name) {
  const prefix = name === null ? "[Object: null prototype] " : name === "Object" ? "" : `${name} `;
  if (name === null && getPrototypeOf(value) !== null) leave("a prototype without a constructor");
  return { __proto__: null, name, open: `${prefix}{`, close: "}", empty: `${prefix}{}` };
}

function collectionAnatomy(name, items, size) {
  return { __proto__: null, name, open: `${name}(${size}) {`, close: "}", items, size, empty: `${name}(${size}) {}` };
}

function shown(state, value, level) {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return shownPrimitive(state, value);
  for (let i = 0; i < state.open.length; i++) if (state.open[i] === value) leave("a circle");
  const found = anatomy(value);
  const names = ownKeys(value, found.items === listItems);
  if (!names.length && !found.size) return found.base || found.empty;
  if (level > DEPTH) return `[${found.name === null ? "Object: null prototype" : found.name}]`;
  state.open[state.open.length] = value;
  state.deepest = level;
  const parts = [];
  if (found.size) found.items(state, value, level + 1, parts);
  for (let i = 0; i < names.length; i++) parts[parts.length] = property(state, value, names[i], level + 1);
  state.open.length--;
  return laidOut(state, parts, found, level, value);
}

function nested(state, value, level) {
  state.indent += 2;
  const text = shown(state, value, level);
  state.indent -= 2;
  return text;
}

function listItems(state, list, level, parts) {
  let at = 0;
  for (; at < list.length && parts.length < MOST_ITEMS; ) {
    if (hasOwn(list, at)) {
      parts[parts.length] = element(state, list, at++, level);
      continue;
    }
    if (list.length > MOST_ITEMS) leave("a long list with holes");
    const from = at;
    while (at < list.length && !hasOwn(list, at)) at++;
    parts[parts.length] = `<${at - from} empty item${at - from > 1 ? "s" : ""}>`;
  }
  addRest(parts, list.length - at);
}

function element(state, list, at, level) {
  const found = getOwnPropertyDescriptor(list, at);
  if (!hasOwn(found, "value")) leave("a list with an accessor");
  return nested(state, found.value, level);
}

function mapItems(state, map, level, parts) {
  let count = 0;
  apply(eachOfMap, map, [
    (value, key) => {
      if (count++ < MOST_ITEMS) parts[parts.length] = `${nested(state, key, level)} => ${nested(state, value, level)}`;
    },
  ]);
  addRest(parts, count - MOST_ITEMS);
}

function setItems(state, set, level, parts) {
  let count = 0;
  apply(eachOfSet, set, [
    (value) => {
      if (count++ < MOST_ITEMS) parts[parts.length] = nested(state, value, level);
    },
  ]);
  addRest(parts, count - MOST_ITEMS);
}

function addRest(parts, count) {
  if (count > 0) parts[parts.length] = `... ${count} more item${count > 1 ? "s" : ""}`;
}

function property(state, value, name, level) {
  const found = getOwnPropertyDescriptor(value, name);
  const text =
    hasOwn(found, "value")
      ? nested(state, found.value, level)
      : found.get === undefined
        ? found.set === undefined
          ? "undefined"
          : "[Setter]"
        : found.set === undefined
          ? "[Getter]"
          : "[Getter/Setter]";
  return `${name === "__proto__" ? "['__proto__']" : isName(name) ? name : quoted(name)}: ${text}`;
}

// On one line where there is room and not too much inside, else one part a line, short items in columns.
function laidOut(state, parts, found, level, value) {
  const count = parts.length;
  if (found.items === listItems && count > 6) parts = inColumns(state, parts, value);
  const before = found.base ? `${found.base} ` : "";
  if (state.deepest - level < COMPACT && parts.length === count) {
    const start = parts.length + state.indent + found.open.length + (found.base || "").length + 10;
    let total = parts.length + start;
    for (let i = 0; i < parts.length; i++) total += parts[i].length;
    const text = join(parts, ", ");
    if (total <= BREAK && !has(before, "\n") && !has(text, "\n")) return `${before}${found.open} ${text} ${found.close}`;
  }
  const line = `\n${spaces(state.indent)}`;
  return `${before}${found.open}${line}  ${join(parts, `,${line}  `)}${line}${found.close}`;
}

function inColumns(state, parts, list) {
  const count = parts.length > MOST_ITEMS ? parts.length - 1 : parts.length;
  let total = 0;
  let longest = 0;
  for (let i = 0; i < count; i++) {
    if (!isAscii(parts[i])) leave("columns of characters that may be wide");
    total += parts[i].length + 2;
    longest = max(longest, parts[i].length);
  }
  const widest = longest + 2;
  if (widest * 3 + state.indent >= BREAK || (total / widest <= 5 && longest > 6)) return parts;
  const biased = max(widest - 3 - sqrt(widest - total / parts.length), 1);
  const columns = min(
    round(sqrt(2.5 * biased * count) / biased),
    floor((BREAK - state.indent) / widest),
    COMPACT * 4,
    15,
  );
  if (columns <= 1) return parts;
  const widths = [];
  for (let i = 0; i < columns; i++) {
    widths[i] = 0;
    for (let j = i; j < count; j += columns) widths[i] = max(widths[i], parts[j].length);
  }
  const pad = areNumbers(list, parts.length) ? padStart : padEnd;
  const lines = [];
  for (let i = 0; i < count; i += columns) {
    const last = min(i + columns, count) - 1;
    let line = "";
    for (let j = i; j < last; j++) line += apply(pad, `${parts[j]}, `, [widths[j - i] + 2]);
    lines[lines.length] = line + (pad === padStart ? apply(pad, parts[last], [widths[last - i]]) : parts[last]);
  }
  if (count < parts.length) lines[lines.length] = parts[count];
  return lines;
}

function areNumbers(list, count) {
  for (let i = 0; i < count; i++) if (typeof list[i] !== "number" && typeof list[i] !== "bigint") return false;
  return true;
}

function inspect(value) {
  return shown({ indent: 0, deepest: 0, open: [] }, value, 0);
}

function format(values) {
  const first = values[0];
  let text = "";
  let next = 0;
  if (typeof first === "string") {
    if (values.length === 1) return first;
    next = 1;
    let from = 0;
    for (let i = 0; i < first.length - 1; i++) {
      if (first[i] !== "%") continue;
      const kind = first[i + 1];
      if (kind !== "%" && next === values.length) continue;
      const put = kind === "%" ? "%" : filled(kind, values[next]);
      if (put === undefined) continue;
      if (kind !== "%") next++;
      text += apply(slice, first, [from, i]) + put;
      from = i++ + 2;
    }
    text += apply(slice, first, [from]);
  }
  for (; next < values.length; next++) {
    const value = values[next];
    text += (next ? " " : "") + (typeof value === "string" ? value : inspect(value));
  }
  return text;
}

// What stands in place of a % and a letter; nothing for another letter.
function filled(kind, value) {
  const simple = (typeof value !== "object" && typeof value !== "function") || value === null;
  if (!simple && has("sdifo", kind)) leave(`%${kind} of an object`);
  switch (kind) {
    case "s":
      return typeof value === "string" ? value : shownPrimitive({ indent: 0 }, value);
    case "d":
      return typeof value === "bigint" ? `${value}n` : typeof value === "symbol" ? "NaN" : shownNumber(+value);
    case "i":
      return typeof value === "bigint" ? `${value}n` : typeof value === "symbol" ? "NaN" : shownNumber(asInteger(value));
    case "f":
      return typeof value === "symbol" ? "NaN" : shownNumber(asFloat(value));
    case "j":
      return typeof value === "bigint" ? leave("%j of a BigInt") : `${stringify(value)}`;
    case "O":
      return inspect(value);
    case "o":
      return leave("%o");
    case "c":
      return "";
    default:
      return undefined;
  }
}

const asInteger = parseInt;
const asFloat = parseFloat;
