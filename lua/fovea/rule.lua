--- fv.rule(name, options): fast-weight update rules, the recurrent family of attention.
---
--- rule = fv.rule("gated_delta")
--- o, state, info = rule:apply(q, k, v, beta, g, {state=, scale=, form=, chunk=})    -- or rule(...)
--- o, state, info = rule:apply({ q = q, k = k, v = v, beta = beta, g = g }, {state=})
---
--- Every rule is causal: o_t sees tokens 1 .. t. rule.sig shows the inputs in order with the
--- shapes of one head; leading dimensions are batch and heads and broadcast, so gates may be
--- shared; an input that is the same for all tokens may be a number. The state S has a row for
--- each entry of a key, S' its transpose. A last state given back as 'state' continues the
--- sequence as if it had not been cut. Where a rule keeps several tensors its state is a table
--- of them by name (rule.state lists them), else the tensor. Gates named g are logarithms,
--- at most 0. Each rule is a few lines on the recurrence that rule.kernel names; form and
--- chunk are that operator's; rule:cost{n=,d=,e=,heads=} is its bill and says which form it
--- would take. info = { kernel =, form =, chunk = } says which one ran: "token", in the order
--- of the plain loop, or "chunk", by products inside chunks of so many tokens.
---
--- A script adds its own on one of the recurrences, recur; layers take it by name, or as fv.rule(name):
---   fv.rule.register { name = "leaky", doc = "A memory that fades.", caps = "causal streaming",
---     sig = "q(n,d) k(n,d) v(n,e) g(n) -> o(n,e) S(d,e)", kernel = "additive_rule",
---     build = function(opt) return { run = function(x, S, recur)
---       return recur(x.q, x.k, x.v, { g = x.g, s = S })
---     end } end }

local core = require "fovea.core"
local options = require "fovea.options"

local function text(x) return "(" .. table.concat({ x:shape() }, ",") .. ")" end

--- "q(n,d) beta?(n)" as a list of { name, dims, optional }, also by name.
local function parse(sig)
  local list = {}
  for name, optional, dims in sig:gmatch("([%w_]+)(%??)%(([%w,]*)%)") do
    local a = { name = name, optional = optional == "?", dims = {} }
    for letter in dims:gmatch("%a") do a.dims[#a.dims + 1] = letter end
    list[#list + 1], list[name] = a, a
  end
  return list
end

--- The shape an argument must have, with the sizes that are known.
local function expected(a, size)
  local words = {}
  for i, letter in ipairs(a.dims) do
    words[i] = size[letter] and ("%s=%d"):format(letter, size[letter]) or letter
  end
  return "(" .. table.concat(words, ",") .. ")"
end

--- What is wrong with one tensor, as what was expected and what came; binds sizes.
local function misfit(a, x, size, first)
  if options.type(x) ~= "tensor" then return "a tensor", options.type(x) end
  if not x:dtype():find "^f" then return "f32 or f64", x:dtype() end
  if x:dtype() ~= first:dtype() then return first:dtype() .. " like the first input", x:dtype() end
  local lead = x:ndim() - #a.dims
  if lead < 0 then return expected(a, size), text(x) end
  for i, letter in ipairs(a.dims) do
    if (size[letter] or x:size(lead + i)) ~= x:size(lead + i) then return expected(a, size), text(x) end
  end
  for i, letter in ipairs(a.dims) do size[letter] = x:size(lead + i) end
end

--- Inputs by name from what a call was given, and the options that came with them.
local function collect(self, ...)
  local list, most = table.pack(...), #self.inputs
  if type(list[1]) == "table" then
    if list.n > 2 then error(self.name .. ": expected inputs and options, got more", 3) end
    for name in pairs(list[1]) do
      if not self.inputs[name] then
        local names = {}
        for i, a in ipairs(self.inputs) do names[i] = a.name end
        error(("%s: unknown input '%s'%s"):format(self.name, tostring(name), options.hint(name, names)), 3)
      end
    end
    return list[1], list[2]
  end
  local by, given, last = {}, nil, list[list.n]
  if type(last) == "table" then given, list.n = last, list.n - 1 end
  while list.n > most and list[list.n] == nil do list.n = list.n - 1 end
  if list.n > most then
    error(("%s: expected at most %d inputs and a table of options, got more"):format(self.name, most), 3)
  end
  for i = 1, list.n do by[self.inputs[i].name] = list[i] end
  return by, given
end

--- A number stands for a tensor of one shape with it everywhere.
local function fill(a, value, size, first)
  local shape = {}
  for i, letter in ipairs(a.dims) do
    if not size[letter] then return value end
    shape[i] = size[letter]
  end
  return core.full(shape, value, { dtype = first:dtype() })
end

--- Every input, checked, and the sizes by letter.
local function inputs(self, by)
  local x, size, first, lead = {}, {}, by[self.inputs[1].name], 0
  if options.type(first) ~= "tensor" then first = core.empty(0) end
  for i, a in ipairs(self.inputs) do
    local value = by[a.name]
    if type(value) == "number" then value = fill(a, value, size, first) end
    if value ~= nil or not a.optional then
      local want, got = misfit(a, value, size, first)
      if want then
        error(("bad argument #%d to '%s' (%s: expected %s, got %s)"):format(i, self.name, a.name,
              want, got), 3)
      end
    end
    x[a.name], lead = value, math.max(lead, value and value:ndim() - #a.dims or 0)
  end
  -- the recurrences tell g(n) from g(n,d) by ranks: all inputs have the same batch dimensions
  for _, a in ipairs(self.inputs) do
    local y = x[a.name]
    for _ = y and y:ndim() - #a.dims or lead, lead - 1 do y = y:unsqueeze(1) end
    x[a.name] = y
  end
  return x, size, first
end

--- The state given, checked.
local function start(self, given, size, first)
  local parts = given
  if #self.state == 1 then parts = { [self.state[1].name] = given } end
  for _, a in ipairs(given ~= nil and self.state or {}) do
    local want, got = misfit(a, parts[a.name], size, first)
    if want then
      error(("%s: option 'state': %s: expected %s, got %s"):format(self.name, a.name, want, got), 3)
    end
  end
  return given
end

--- How the kernel runs the arguments of a call: { kernel =, form =, chunk = }.
local function plan(kernel, opt, ...)
  local sizes = { form = opt.form, chunk = opt.chunk, causal = opt.causal }
  for i, a in ipairs(kernel.inputs) do
    local x = select(i, ...)
    if a.optional or options.type(x) ~= "tensor" then break end
    for j = 1, #a.dims do sizes[a.dims:sub(j, j)] = x:size(j - 1 - #a.dims) end
    if i == 1 then sizes.heads = x:ndim() > 2 and math.max(1, x:size(-3)) or 1 end
  end
  local cost = kernel:cost(sizes)
  return { kernel = kernel.name, form = cost.form, chunk = cost.chunk }
end

local function finish(object, entry)
  local function bad(field, want) error(("rule '%s': %s: expected %s"):format(entry.name, field, want), 0) end
  local run, kernel = object.run, entry.kernel and rawget(core.ops, entry.kernel)
  if not kernel then
    bad("field 'kernel'", "an operator with a state, such as additive_rule, erase_write_rule or dplr_rule")
  elseif not (entry.sig or ""):find "^%s*[%w_]+%b().*%->%s*[%w_]+%b()" then
    bad("field 'sig'", "a signature such as q(n,d) k(n,d) v(n,e) -> o(n,e) S(d,e)")
  elseif run == nil then
    bad("build", "a table { run = function(x, S, recur) }")
  end
  local before, after = entry.sig:match("^(.-)%->%s*[%w_]+%b()(.*)$")
  object.inputs, object.state, object.sig, object.kernel = parse(before), parse(after), entry.sig, kernel
  local call = {
    { "state", #object.state > 1 and "table" or "tensor", nil, "where to start; empty unless given" },
    { "scale", "number", 1, "the query is multiplied by it first; layers use 1/sqrt(d)" }
  }
  for _, o in ipairs(kernel.options) do
    if o.name == "form" or o.name == "chunk" then
      call[#call + 1] = { o.name, o.type, nil, o.doc, lo = o.lo, hi = o.hi, choices = o.choices }
    end
  end
  call = options.declare(call, entry.name, 2)
  object.call = function(self, ...)
    if self ~= object then error(entry.name .. ": expected rule:apply(...), with a colon", 2) end
    local by, given = collect(self, ...)
    local c = options.read(call, given, self.name, 3)
    local x, size, first = inputs(self, by)
    local s = start(self, c.state, size, first)
    local info
    local o, last = run(x, s, function(q, ...)
      local opt = select(-1, ...)
      opt.form, opt.chunk = c.form, c.chunk
      info = plan(kernel, opt, q, ...)
      return kernel(c.scale == 1 and q or q * c.scale, ...)
    end)
    return o, last, info
  end
  object.apply = object.call
  object.cost = object.cost or function(_, sizes) return kernel:cost(sizes) end
end

return require "fovea.registry".new {
  kind = "rule", folder = "fovea.rules", finish = finish,
  extra = { sig = "string", kernel = "string", project = "table" }
}
