-- What is chosen by name: strict options, errors that name the nearest key,
-- objects that show what they are, entries a script adds.

local fv = require "fovea"
local options = require "fovea.options"
local registry = require "fovea.registry"
local tap = require "tap"

-- options
local spec = options.declare({
  { "n", "integer", 4, "a count", lo = 1, hi = 9 },
  { "rate", "number", nil, "derived when absent", lo = 0 },
  { "mode", "string", "fast", "how", choices = { "fast", "exact" } },
  { "on", "boolean", false, "a switch" },
  { "map", "string|function", nil, "a name or a function" },
  { "x", "tensor", nil, "a tensor" }
}, "thing", 1)
local function read(given) return options.read(spec, given, "thing", 1) end

local v = read(nil)
tap.ok(v.n == 4 and v.rate == nil and v.mode == "fast" and v.on == false, "defaults are filled in")
v = read { n = 7.0, rate = 2, map = print, x = fv.zeros(1) }
tap.is(math.type(v.n), "integer", "a float with a whole value is a whole number")
tap.ok(v.rate == 2 and v.map == print and v.x:numel() == 1, "values pass through")
tap.raises("thing: unknown option 'rat' %(did you mean 'rate'%?%)", "an unknown option names the nearest",
           read, { rat = 1 })
tap.raises("entry 1 has no name", "a list is no table of options", read, { 5 })
tap.raises("option 'n': expected a whole number in %[1, 9%], got 10", "a range is told", read, { n = 10 })
tap.raises("option 'n': expected a whole number in %[1, 9%], got 1.5", "a fraction is no whole number",
           read, { n = 1.5 })
tap.raises("option 'rate': expected a number from 0, got %-?nan", "NaN is outside every range",
           read, { rate = 0 / 0 })
tap.raises("option 'mode': expected one of \"fast\", \"exact\", got \"fats\"", "choices are told",
           read, { mode = "fats" })
tap.raises("option 'on': expected true or false, got 1", "a number is no boolean", read, { on = 1 })
tap.raises("option 'map': expected a string or a function, got table", "a union of types is told",
           read, { map = {} })
tap.raises("option 'x': expected a tensor, got table", "a table is no tensor", read, { x = {} })
tap.raises("expected a table of options, got integer", "options come in a table", read, 3)
tap.raises("declared twice", "a declaration has each name once", options.declare,
           { { "a", "any", nil, "x" }, { "a", "any", nil, "y" } }, "thing", 1)
tap.raises("unknown field 'low'", "a declaration is checked too", options.declare,
           { { "a", "number", nil, "x", low = 1 } }, "thing", 1)
tap.is(options.nearest("sofmax", { "max", "softmax", "nystrom" }), "softmax", "nearest by edit distance")
tap.is(options.nearest("zzzzzz", { "max", "softmax" }), nil, "nothing is near what is far from all")

-- names are the files of the folder and what was registered
local names = fv.map.names()
local seen = {}
for _, name in ipairs(names) do seen[name] = true end
tap.ok(seen.favor and seen.trig and seen.positive and seen.hyperbolic and seen.relu and seen.elu1
       and seen.dpfp, "every file of the folder has its name in the list")
tap.ok(not seen.init and not seen.twice, "and nothing else does")
tap.raises("map: nothing is named 'favr'; did you mean 'favor'%?", "an unknown name suggests one",
           fv.map, "favr")
tap.raises("map: nothing is named 'qqqqqqq'; there are aderf, aderf_sderf", "or lists them", fv.map, "qqqqqqq")
tap.raises("map: expected a name, got boolean", "a name is a string", fv.map, true)
tap.raises("nothing is named '../options'", "a name is no path", fv.map, "../options")
tap.raises("map has no field 'nams' %(did you mean 'names'%?%)", "registries are strict too",
           function() return fv.map.nams end)

fv.map.register {
  name = "twice", doc = "Doubles.\nFor a test.", caps = "nonneg linear_in_v",
  options = { { "factor", "number", 2, "what it multiplies by", lo = 0 } },
  build = function(opt) return { call = function(_, x) return x * opt.factor end } end
}
local phi = fv.map("twice", { factor = 3 })
tap.is(phi(fv.tensor { 5 }):item(), 15, "a registered entry is made and called")
tap.is(tostring(phi), "map twice {factor=3}\nDoubles.", "an object shows its options and its line of doc")
tap.ok(phi.name == "twice" and phi.caps.nonneg and phi.caps.linear_in_v and phi.options.factor == 3
       and phi.kind == "map", "an object answers what it is")
tap.raises("map 'twice' has no field 'factr'", "an object is strict", function() return phi.factr end)
tap.raises("map 'twice' has no cost function", "a cost it does not have is an error", phi.cost, phi)
tap.raises("map 'twice' exists already", "a name is taken once", fv.map.register, { name = "twice" })
tap.raises("map 'favor' exists already", "also by a file", fv.map.register, { name = "favor" })
tap.raises("map 'bad': field 'build': expected a function, got nil", "an entry has a shape",
           fv.map.register, { name = "bad", doc = "x" })
tap.raises("map 'bad': unknown field 'bild' %(did you mean 'build'%?%)", "and no other fields",
           fv.map.register, { name = "bad", doc = "x", build = print, bild = print })

-- where an error points
local function line_of(f, ...)
  local _, message = pcall(f, ...)
  return tonumber(message:match("registry%.t:(%d+):"))
end
local here = debug.getinfo(1, "l").currentline
local at = line_of(function()
  local bad = fv.map("twice", { factr = 1 })
  return bad
end)
tap.is(at, here + 2, "an error points at the line that asked")

-- a registry with everything in one place
local tools = registry.new { kind = "tool", folder = "fovea.no_such_folder",
  common = { { "size", "integer", 1, "of any tool", lo = 1 } },
  prepare = function(values) values.size = values.size * 10 end,
  finish = function(object) object.extra = "yes" end }
tap.is(#tools.names(), 0, "a folder that is not there has no names")
tools.register { name = "hammer", doc = "Hits.", build = function(opt) return { weight = opt.size } end }
tap.is(tools("hammer", { size = 3 }).weight, 30, "common options, and prepare before build")
tap.is(tools("hammer").extra, "yes", "finish after it")
tap.raises("no field 'call'", "what has no call is not callable", function() return tools("hammer").call end)

-- the module
tap.raises("fv has no field 'mapp' %(did you mean 'map'%?%)", "fv is strict", function() return fv.mapp end)
tap.raises("fv has no field 'options'", "internals are not fields", function() return fv.options end)

local listed = {}
for _, name in ipairs(getmetatable(fv).__names()) do listed[name] = true end
tap.ok(listed.zeros and listed.attention and listed.softmax_attention, "what is not loaded yet is listed too")

-- options that are none
tap.raises("train: expected a table of options, got nn", "a layer is no table of options", fv.train,
           fv.nn.linear { inputs = 1, outputs = 1 })
tap.raises("train: entry 1 has no name: expected options as name=value", "options have names", fv.train, { 3 })
tap.raises("like layer:parameters%(%), got nn", "a layer is no list of parameters", fv.optim, "sgd",
           fv.nn.linear { inputs = 1, outputs = 1 })

-- help
local help = require "fovea.help"
tap.ok(help.text("favor"):find("features", 1, true) and help.text("favor"):find("2009.14794", 1, true),
       "help shows an entry's options and source")
tap.ok(help.text(phi):find("factor       number from 0, default 2: what it multiplies by", 1, true),
       "help shows an object's entry")
tap.ok(help.text(fv.ops.dpfp):find("x(n,d) -> phi(n,f)", 1, true), "help shows an operator's signature")
tap.ok(help.text("x:reshape"):find("row-major", 1, true) and help.text("fv.zeros"):find("zeros", 1, true),
       "help knows methods and functions")
local _, pages = help.text("fv.nn.linear"):gsub("\n\nExample\n", "")
tap.ok(pages == 1 and help.text("nn.linear"):find "^fv%.nn%.linear{", "a path of two names finds one thing")
_, pages = help.text("linear"):gsub("\n\nExample\n", "")
tap.is(pages, 4, "a bare name all of that name")
tap.ok(not help.text("nn.mse"):find "seed", "a loss has no options of layers")
tap.raises("nothing is named 'nn.liner' %(did you mean 'linear'", "and a misspelt path is told", help.text, "nn.liner")
tap.ok(help.text(fv.zeros) == help.text("fv.zeros"), "by value as by name")
tap.ok(help.text(fv.map):find("hyperbolic", 1, true), "help on a registry lists its names")
tap.ok(help.text("map"):find("fv.map(name, options)", 1, true), "also by name")
local all = help.text()
local missing = {}
for name in pairs(fv.ops) do
  if not all:find(name, 1, true) then missing[#missing + 1] = name end
end
tap.is(table.concat(missing, " "), "", "the overview names every operator")
tap.ok(help.text "redraw":find 'In fv.help "map": phi:redraw%(i, seed%?%)', "help on a method of what is made says where")
tap.ok(help.text "model:stream":find 'In fv.help "nn": s = layer:stream{', "also where others have that name")
tap.ok(not help.text "cholesky":find "In fv.help", "and says nothing of it elsewhere")
tap.raises("help: nothing is named 'favour' %(did you mean 'favor'%?%)", "help suggests", help.text, "favour")
tap.raises("nothing is known about this table", "help on anything else is an error", help.text, {})

-- a bill for sizes that are none
tap.raises("delta: cost: size 'n': expected a number, got string", "a size that is no number",
           function() return fv.rule("delta"):cost { n = "x" } end)
tap.raises("delta_product: cost: sizes 'n' and 'j' are required", "a size that is missing",
           function() return fv.rule("delta_product"):cost { n = 3 } end)

tap.done()
