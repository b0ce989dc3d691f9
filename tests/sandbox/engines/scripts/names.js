// The names of all that can be reached from the global object, but for what gives the program to node.
(function () {
  const seen = new Set();
  const names = [];
  function walk(holder, path) {
    if ((typeof holder !== "object" && typeof holder !== "function") || holder === null || seen.has(holder)) return;
    seen.add(holder);
    for (const key of Reflect.ownKeys(holder)) {
      const name = typeof key === "symbol" ? `[${key.description}]` : key;
      const found = Reflect.getOwnPropertyDescriptor(holder, key);
      if (typeof found.get === "function" && `${found.get}`.includes("leave(")) continue;
      if (typeof holder === "function" && ["name", "length", "arguments", "caller", "prototype"].includes(name)) {
        if (name === "prototype") walk(found.value, `${path}.prototype`);
        continue;
      }
      names.push(`${path}.${name}`);
      if ("value" in found && name !== "constructor" && name !== "process") walk(found.value, `${path}.${name}`);
    }
  }
  for (const key of Reflect.ownKeys(this)) {
    const found = Reflect.getOwnPropertyDescriptor(this, key);
    if (typeof key === "string" && "value" in found && !["process", "console", "globalThis", "global"].includes(key)) {
      names.push(key);
      walk(found.value, key);
    } else if (typeof key === "string" && !("value" in found) && !`${found.get}`.includes("leave(")) names.push(key);
  }
  for (const [name, made] of [["list", [].values()], ["map", new Map().keys()], ["text", ""[Symbol.iterator]()]]) {
    walk(Object.getPrototypeOf(made), `${name} iterator`);
    walk(Object.getPrototypeOf(Object.getPrototypeOf(made)), "iterator");
  }
  return names.join("\n");
})();
