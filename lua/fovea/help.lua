--- fv.help(name or object): prints documentation; without an argument, an overview.
--- Names are those of functions, tensor methods ("sum" or "x:sum"), operators and the
--- entries of every registry, and methods of what these make. Objects are operators,
--- samplers, and whatever a registry made. All text comes from the definitions themselves.

local core = require "fovea.core"
local options = require "fovea.options"
local parts = require "fovea.parts"
local registry = require "fovea.registry"

local function sorted(t)
  local names = {}
  for name in pairs(t) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function first(text) return text:match("[^\n]*") end
local function indented(text) return "  " .. text:gsub("\n", "\n  ") end

local function section(out, title, lines)
  if #lines == 0 then return end
  out[#out + 1] = "\n" .. title
  for _, line in ipairs(lines) do out[#out + 1] = "  " .. line end
end

--- "{dim=, features=256}" from declarations.
local function braces(list)
  local words = {}
  for i, o in ipairs(list) do
    words[i] = o.name .. "=" .. (type(o.default) == "string" and ("%q"):format(o.default)
               or o.default ~= nil and tostring(o.default) or "")
  end
  return #words > 0 and "{" .. table.concat(words, ", ") .. "}" or ""
end

--- What operators and registry entries have in common, after their title.
local function body(out, thing)
  out[#out + 1] = thing.doc
  local lines = {}
  for i, o in ipairs(thing.options) do lines[i] = options.line(o) end
  section(out, "Options", lines)
  local caps = sorted(thing.caps)
  if #caps > 0 then section(out, "Capabilities", { table.concat(caps, ", ") }) end
  if thing.ref and thing.ref ~= "" then section(out, "Source", { thing.ref }) end
end

local function operator(op)
  local args, results = {}, {}
  for _, a in ipairs(op.inputs) do args[#args + 1] = a.name .. (a.optional and "?" or "") end
  for _, a in ipairs(op.outputs) do results[#results + 1] = a.name end
  if #op.options > 0 then args[#args + 1] = braces(op.options) end
  local title = ("fv.%s(%s) -> %s"):format(op.name, table.concat(args, ", "), table.concat(results, ", "))
  if op.kind == "kernel" then title = "fv.ops." .. title:sub(4) end
  if op.kind == "sampler" then title = ('fv.sample("%s", {rows=, dim=, seed=})'):format(op.name) end
  local out = { title, "  " .. op.kind .. "  " .. op.sig }
  body(out, op)
  if op.kind == "operator" then
    section(out, "Gradient", { op.differentiable and "yes" or "not differentiable" })
  end
  return table.concat(out, "\n")
end

local words = { sampler = "sample" }

local function entry(e)
  local word = words[e.kind] or e.kind
  local list = braces(e.options)
  local use = e.usage and e.usage:format(e.name, list)
  local out = { use or ('fv.%s("%s"%s)'):format(word, e.name, list == "" and "" or ", " .. list),
                "  " .. e.kind .. (e.sig and "  " .. e.sig or "") }
  if e.apply then out = {} end                                  -- its doc begins with its use
  body(out, e)
  if e.extend then
    local lines, own = {}, #e.options
    for i, o in ipairs(options.join(e.options, e.extend {})) do
      if i > own then lines[#lines + 1] = options.line(o) end
    end
    section(out, "Options handed on", lines)
  end
  if e.call then
    local lines = {}
    for i, o in ipairs(e.call) do lines[i] = options.line(o) end
    section(out, "Options of a call", lines)
  end
  if e.example then section(out, "Example", { e.example }) end
  return table.concat(out, "\n")
end

local function method(m)
  local note = m.grad == "view" and "\n  a view: shares its elements" or ""
  return m.sig .. "\n" .. m.doc:gsub("%s+$", "") .. note
end

local function factory(r)
  local out = { words[r.kind] or r.kind }
  local part = parts[out[1]]
  if part then out = { part.sig, part.doc } end
  local lines = {}
  for i, name in ipairs(r.names()) do lines[i] = ("%-20s %s"):format(name, first(r.entry(name).doc)) end
  section(out, "Names", lines)
  return table.concat(out, "\n")
end

--- Every registry there is; asking loads those not used yet.
local function registries()
  local fv = require "fovea"
  for name, part in pairs(parts) do
    if part.factory then local _ = fv[name] end
  end
  table.sort(registry.all, function(a, b) return a.kind < b.kind end)
  return registry.all
end

local function overview()
  local out = { 'fv.help "name" tells more.' }
  for _, kind in ipairs { "operator", "kernel" } do
    local lines = {}
    for _, name in ipairs(sorted(core.ops)) do
      local op = core.ops[name]
      if op.kind == kind then lines[#lines + 1] = ("%-24s %s"):format(name, first(op.doc)) end
    end
    section(out, kind:sub(1, 1):upper() .. kind:sub(2) .. "s in C", lines)
  end
  local lines = {}
  for _, name in ipairs(sorted(parts)) do
    lines[#lines + 1] = ("%-24s %s"):format("fv." .. name, first(parts[name].doc))
  end
  section(out, "Parts", lines)
  lines = {}
  for _, r in ipairs(registries()) do
    lines[#lines + 1] = ("%-24s %s"):format(r.kind, table.concat(r.names(), " "))
  end
  table.sort(lines)
  section(out, "Chosen by name", lines)
  for _, group in ipairs(sorted(core.docs)) do
    local names = sorted(core.docs[group])
    section(out, group == "fv" and "Functions fv." or "Methods of a " .. group, { table.concat(names, " ") })
  end
  return table.concat(out, "\n")
end

--- Pages for a name, and every name that has one; those of one registry where 'kind' names it.
--- A function and a method of one documentation share a page.
local function pages(name, kind)
  for _, r in ipairs(registries()) do
    if kind == (words[r.kind] or r.kind) then
      for _, key in ipairs(r.names()) do
        if key == name then return { entry(r.entry(key)) } end
      end
      return {}, r.names()
    end
  end
  local found, names, methods = {}, {}, {}
  local function try(key, make, thing)
    if key == name then found[#found + 1] = make(thing) end
    names[#names + 1] = key
  end
  for key, part in pairs(parts) do
    if not part.factory then try(key, function() return part.sig .. "\n" .. part.doc end) end
  end
  for _, r in ipairs(registries()) do
    try(words[r.kind] or r.kind, factory, r)
    for _, key in ipairs(r.names()) do
      if key == name then try(key, entry, r.entry(key)) else names[#names + 1] = key end
    end
  end
  for key, op in pairs(core.ops) do
    if op.kind == "operator" then try(key, operator, op) end     -- the others have a registry's page
  end
  for _, group in ipairs(sorted(core.docs)) do
    for key, m in pairs(core.docs[group]) do
      local last = methods[#methods]
      if key ~= name then names[#names + 1] = key
      elseif last and last.doc == m.doc then last.sig = last.sig .. "\n" .. m.sig
      else methods[#methods + 1] = { sig = m.sig, doc = m.doc, grad = m.grad } end
    end
  end
  for _, m in ipairs(methods) do found[#found + 1] = method(m) end
  return found, names
end

--- Where the documentation of what objects have, such as layer:stream{}, tells of a method.
local function members(name)
  local found = {}
  for _, key in ipairs(sorted(parts)) do
    for line in parts[key].doc:gmatch "[^\n]+" do
      local use = line:match "^%s*(%a+:%a.*)" or line:match "^%s*(%a+ = %a+:%a.*)"     -- where its lines begin
      if use and use:find("%a:" .. name .. "[({]") then
        found[#found + 1] = ('In fv.help "%s": %s'):format(key, use)
        break
      end
    end
  end
  return table.concat(found, "\n")
end

--- The text help prints.
local function text(thing)
  if thing == nil then return overview() end
  if type(thing) == "string" then
    local path = thing:gsub("^fv%.", "")
    local name = path:gsub("^[%w_]+[:.]", "")
    local found, names = pages(name, path:match "^([%w_]+)%.")
    if name:find "^[%a_][%w_]*$" and members(name) ~= "" then found[#found + 1] = members(name) end
    if #found == 0 then
      error(("help: nothing is named '%s'%s"):format(thing, options.hint(name, names)), 3)
    end
    return table.concat(found, "\n\n")
  end
  local class = (getmetatable(thing) or {}).__name
  if class == "fovea.operator" then return operator(thing) end
  if class == "fovea.registry" then return factory(thing) end
  if type(thing) == "table" and rawget(thing, "entry") then return entry(thing.entry) end
  if type(thing) == "table" and thing.options and thing.build then return entry(thing) end
  if class == "fovea.tensor" then
    local out = {}
    for _, name in ipairs(sorted(core.docs.tensor)) do
      local m = core.docs.tensor[name]
      out[#out + 1] = m.sig .. "\n" .. indented(first(m.doc))
    end
    return table.concat(out, "\n")
  end
  if type(thing) == "function" then
    for group, list in pairs(core.docs) do
      for name, m in pairs(list) do
        if group == "fv" and rawget(core, name) == thing then return method(m) end
      end
    end
  end
  error(("help: nothing is known about this %s"):format(class or type(thing)), 3)
end

return setmetatable({ text = text }, {
  __call = function(_, thing) print((text(thing))) end
})
