--- One strict mechanism for everything that is chosen by name.
---
--- registry.new{ kind = "map", folder = "fovea.maps" } returns a factory:
---   map(name, options)    makes the thing
---   map.names()           every name, sorted
---   map.entry(name)       its entry: name, doc, ref, caps, options, build
---   map.help(name)        prints that
---   map.register(entry)   adds one from a script
--- Each Lua file of the folder returns one entry; it is read on first use.
---   name     the file's name
---   doc      first line says what it is; the rest says what else matters
---   ref      source: paper and arXiv id
---   caps     words, as operators have them: "nonneg unbiased"
---   options  declarations, see options.lua
---   build    function(opt, name, caps): opt has every default filled in; returns a table whose
---            'call' is what calling the object does, or a plain value.  'name' is for
---            messages: the entry's, unless another entry builds on this one; caps are the entry's

local options = require "fovea.options"

local registry = { all = {} }

--- Fields of an entry and their types.  'extend' is for entries that hand options on to
--- another: extend(given) lists further declarations.
local fields = { name = "string", doc = "string", ref = "string", caps = "string",
                 options = "table", build = "function", example = "string", extend = "function" }

local required = { name = true, doc = true, build = true }

--- Checks an entry and normalises it: options declared, caps as a set.  'extra' are
--- further fields it may have by type ("options" is a list of declarations), 'common'
--- options every entry of the kind has.
local function prepare(entry, kind, extra, common, level)
  if type(entry) ~= "table" then
    error(("%s: expected an entry (a table), got %s"):format(kind, type(entry)), level)
  end
  local who = ("%s '%s'"):format(kind, tostring(entry.name))
  local all = setmetatable({}, { __index = fields })
  for field, want in pairs(extra) do all[field] = want end
  for field in pairs(required) do
    if entry[field] == nil then
      error(("%s: field '%s': expected a %s, got nil"):format(who, field, all[field]), level)
    end
  end
  for field, value in pairs(entry) do
    local want = all[field]
    if not want then
      local names = {}
      for f in pairs(fields) do names[#names + 1] = f end
      for f in pairs(extra) do names[#names + 1] = f end
      error(("%s: unknown field '%s'%s"):format(who, tostring(field), options.hint(field, names)), level)
    elseif type(value) ~= (want == "options" and "table" or want) then
      error(("%s: field '%s': expected a %s, got %s"):format(who, field, want, type(value)), level)
    end
  end
  if not entry.name:find "^[%a_][%w_]*$" then
    error(("%s: field 'name': expected a word of letters, digits and _"):format(who), level)
  end
  local own = options.declare(entry.options or {}, who, level + 1)
  local e = { options = entry.apply and own or options.join(common, own), kind = kind, caps = {} }
  for word in (entry.caps or ""):gmatch("%S+") do e.caps[word] = true end
  for field, want in pairs(extra) do
    if want == "options" then
      e[field] = options.declare(entry[field] or {}, who .. ": " .. field, level + 1)
    end
  end
  for field, value in pairs(entry) do
    if field ~= "caps" and e[field] == nil then e[field] = value end
  end
  return e
end

--- Directories that may hold modules of 'folder' ("fovea.maps").
local function places(folder)
  local list, path = {}, folder:gsub("%.", "/")
  for template in package.path:gmatch("[^;]+") do
    if template:sub(-6) == "/?.lua" then list[#list + 1] = template:sub(1, -6) .. path end
  end
  return list
end

--- What a made object answers when asked for a field it lacks.
local function missing(self, field)
  local names = {}
  for name in pairs(self) do names[#names + 1] = tostring(name) end
  table.sort(names)
  error(("%s '%s' has no field '%s'%s"):format(self.kind, self.name, tostring(field),
        options.hint(field, names)), 2)
end

--- What a made object prints: its name and options, and the first line of its doc.
function registry.title(self)
  local text = self.kind .. " " .. self.name .. " " .. options.text(self.spec, self.options)
  return text .. "\n" .. self.doc:match("[^\n]*")
end

local function call(self, ...) return self.call(self, ...) end

--- Gives the table 'object' the face every made thing has: kind, name, doc,
--- ref, caps, options (the values), spec (their declarations), entry, cost; callable
--- and printable.  'more' are further metamethods.
local function face(object, entry, values, spec, more)
  object.kind, object.name, object.doc, object.ref = entry.kind, entry.name, entry.doc, entry.ref or ""
  object.caps, object.options = object.caps or entry.caps, values
  object.entry, object.spec = entry, spec
  local cost = object.cost
  object.cost = function(self, sizes)
    if not cost then error(("%s '%s' has no cost function"):format(entry.kind, entry.name), 2) end
    if type(sizes) ~= "table" then
      error(("%s: cost: expected a table of sizes, got %s"):format(entry.name, options.type(sizes)), 2)
    end
    for name, size in pairs(sizes) do
      if type(size) ~= "number" and type(size) ~= "boolean" then
        error(("%s: cost: size '%s': expected a number, got %s"):format(entry.name, tostring(name),
              options.type(size)), 2)
      end
    end
    return cost(self, sizes)
  end
  local meta = { __index = missing, __tostring = registry.title, __call = object.call and call,
                 __name = "fovea." .. entry.kind }
  for name, f in pairs(more or {}) do meta[name] = f end
  return setmetatable(object, meta)
end

--- A factory.  def.kind is the word users see, def.folder the package of its entries.
--- Optional: def.extra, a set of further fields entries may have; def.common, options
--- all entries share; def.source(), entries that come from elsewhere;
--- def.prepare(values, name, level), before build; def.finish(object, entry, values), after;
--- def.meta, further metamethods of what is made; def.members(entry), what kind.name is for
--- the name of an entry; def.usage, how help
--- writes a use, with %s for the name and for the options: 'fv.nn.%s%s'.
function registry.new(def)
  local common = options.declare(def.common or {}, def.kind, 2)
  local self, entries, listed = { kind = def.kind }, {}, false

  local function add(entry, level)
    local e = prepare(entry, def.kind, def.extra or {}, common, level + 1)
    e.usage = def.usage
    entries[e.name] = e
    return e
  end

  local function scan()
    if listed then return end
    listed = true
    local core = require "fovea.core"
    for _, dir in ipairs(places(def.folder)) do
      for _, file in ipairs(core.listdir(dir)) do
        local name = file:match("^([%w_]+)%.lua$")
        if name and entries[name] == nil then entries[name] = false end
      end
    end
    for _, e in ipairs(def.source and def.source() or {}) do
      if not entries[e.name] then add(e, 2) end
    end
  end

  local function load(name)
    local module = def.folder .. "." .. name
    if not name:match("^[%w_]+$") or not package.searchpath(module, package.path) then return nil end
    local e = add(require(module), 2)
    if e.name ~= name then error(("%s: the file's entry is named '%s'"):format(module, e.name), 0) end
    return e
  end

  function self.names()
    scan()
    local names = {}
    for name in pairs(entries) do names[#names + 1] = name end
    table.sort(names)
    return names
  end

  local function find(name, level)
    if type(name) ~= "string" then
      error(("%s: expected a name, got %s"):format(def.kind, options.type(name)), level)
    end
    local e = entries[name] or load(name)
    if e then return e end
    scan()
    if entries[name] then return entries[name] end
    local near = options.nearest(name, self.names())
    error(("%s: nothing is named '%s'; %s"):format(def.kind, name,
          near and ("did you mean '%s'?"):format(near) or "there are " .. table.concat(self.names(), ", ")),
          level)
  end

  function self.entry(name) return find(name, 2) end

  function self.register(entry)
    scan()
    if type(entry) == "table" and entries[entry.name] ~= nil then
      error(("%s '%s' exists already"):format(def.kind, tostring(entry.name)), 2)
    end
    return add(entry, 2)
  end

  function self.help(name) return require "fovea.help"(name and find(name, 2) or self) end

  --- The thing itself; errors are raised at 'level' as error takes it.
  function self.make(name, given, level)
    level = level == 0 and 0 or (level or 2) + 1          -- 0: messages name no place
    local entry = find(name, level)
    local spec = entry.options
    if entry.extend and (given == nil or type(given) == "table") then
      spec = options.join(spec, entry.extend(given or {}))
    end
    local values = options.read(spec, given, entry.name, level)
    if def.prepare then def.prepare(values, entry.name, level) end
    local object = entry.build(values, entry.name, entry.caps)
    if object == nil then
      error(("%s '%s': its build returned nothing"):format(entry.kind, entry.name), level)
    end
    if type(object) ~= "table" or getmetatable(object) then return object end
    if def.finish then def.finish(object, entry, values) end
    return face(object, entry, values, spec, def.meta)
  end

  registry.all[#registry.all + 1] = self
  return setmetatable(self, {
    __call = function(_, name, given) return self.make(name, given) end,
    __tostring = function() return def.kind .. ": " .. table.concat(self.names(), ", ") end,
    __index = function(_, field)
      if def.members and type(field) == "string" and (entries[field] or load(field)) then
        return def.members(find(field, 2))
      end
      local names = def.members and self.names() or {}
      for f in pairs(self) do names[#names + 1] = f end
      error(("%s has no field '%s'%s"):format(def.kind, tostring(field), options.hint(field, names)), 2)
    end,
    __names = def.members and function()
      local names = self.names()
      for f in pairs(self) do names[#names + 1] = f end
      return names
    end,
    __name = "fovea.registry"
  })
end

--- The entries of the C operators of one kind; build(op) returns an entry's 'build'.
function registry.descriptors(kind, build)
  local list = {}
  for _, op in pairs(require "fovea.core".ops) do
    if op.kind == kind then
      local caps = {}
      for word in pairs(op.caps) do caps[#caps + 1] = word end
      table.sort(caps)
      list[#list + 1] = { name = op.name, doc = op.doc, ref = op.ref, caps = table.concat(caps, " "),
                          options = op.options, build = build(op) }
    end
  end
  return list
end

return registry
