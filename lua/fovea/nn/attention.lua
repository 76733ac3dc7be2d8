--- o = mix(q, k, v, ...) over heads, then a projection back

local fv = require "fovea"
local draws = require "fovea.draws"
local find = require "fovea.mixer".find
local layer = require "fovea.layer"
local project = require "fovea.project"

local query = { q = true, C = true, r = true }
local key = { k = true, B = true }
local written = { v = true, x = true }

--- The attention of that name; 'redraw', if any, among its options where it has such a one.
local function made(name, options, redraw)
  local mixer = fv.attention.make(name, options, 0)
  if not redraw or not mixer.spec.by.redraw then return mixer end
  local all = { redraw = redraw }
  for o, value in pairs(options or {}) do if o ~= "redraw" then all[o] = value end end
  return fv.attention.make(name, all, 0)
end

--- The mixer by name or by value, and whether it is a rule.
local function resolve(given, name, options, redraw)
  local is_rule, known = find(given, name, "mixer")
  if not known then
    if options then error(name .. ": option 'mixer_options' is for a mixer given by name", 0) end
    return given, is_rule
  end
  return is_rule and fv.rule.make(known, options, 0) or made(known, options, redraw), is_rule
end

--- (b, heads, n, e) -> (b, n, heads * e)
local function merge(o)
  local y = o:transpose(-3, -2)
  local shape = { y:shape() }
  shape[#shape - 1] = shape[#shape - 1] * table.remove(shape)
  return y:reshape(shape)
end

--- Attention on q, k, v: what makes its inputs, and what mixes them.
local function attention(l, mixer, opt, size)
  if opt.causal and mixer.entry.acausal then
    error(("attention: option 'causal': '%s' has no causal form: %s; set causal=false"):format(mixer.name,
          mixer.entry.acausal), 0)
  end
  local grouped = opt.kv_heads or opt.heads
  if opt.heads % grouped ~= 0 then
    error(("attention: option 'kv_heads': expected a divisor of heads=%d, got %d"):format(opt.heads,
          grouped), 0)
  end
  for i, name in ipairs { "q", "k", "v" } do
    layer.child(l, name, "linear", { inputs = opt.width, outputs = (i == 1 and opt.heads or grouped) * size.d,
                                     bias = opt.bias, init = opt.init })
    project.conv(l, name, (i == 1 and opt.heads or grouped) * size.d, opt.conv)
  end
  l.state = function(_, sizes)
    return grouped * mixer:state { n = sizes.n, d = size.d, e = size.d }
  end
  return function(self, x, given)
    local parts, mixing = {}, self.mixer
    draws.check(self)
    for i, name in ipairs { "q", "k", "v" } do
      local y = self[name](x)
      if opt.conv > 0 then y = self["conv_" .. name](y) end
      parts[i] = project.split(y, i == 1 and opt.heads or grouped, { size.d })
      if i < 3 then parts[i] = self.turn(self.feature(parts[i], name)) end
    end
    local call = { causal = opt.causal or nil }
    for name, value in pairs(given or {}) do call[name] = value end
    if not self.flow then return (mixing(parts[1], parts[2], parts[3], call)) end
    call.state = self.flow.kept or {}
    local o, _, kept = mixing(parts[1], parts[2], parts[3], call)
    layer.keep(self, kept)
    return o
  end
end

--- A rule with the inputs its signature lists.
local function recurrence(l, rule, opt, size)
  if not opt.causal then error("attention: option 'causal': rules are causal: expected true", 0) end
  if opt.kv_heads and opt.kv_heads ~= opt.heads then
    error(("attention: option 'kv_heads': a rule has as many as heads=%d"):format(opt.heads), 0)
  end
  local make = {}
  for i, a in ipairs(rule.inputs) do
    local taps = (query[a.name] or key[a.name] or written[a.name]) and opt.conv or 0
    make[i] = project.kind(rawget(rule, "entry"), a, opt.project)(l, a, size, opt.init, taps)
  end
  l.state = function()
    local total = 0
    for _, a in ipairs(rule.state) do
      local n = opt.heads
      for _, letter in ipairs(a.dims) do n = n * size[letter] end
      total = total + n
    end
    return total
  end
  local scale = size.d ^ -0.5
  return function(self, x, given)
    local inputs = {}
    for i, a in ipairs(rule.inputs) do
      local y = make[i](self, x)
      if query[a.name] or key[a.name] then y = self.turn(self.feature(y, query[a.name] and "q" or "k")) end
      inputs[a.name] = y
    end
    local call = { scale = scale }
    for name, value in pairs(given or {}) do call[name] = value end
    if not self.flow then return (rule(inputs, call)) end
    call.state = self.flow.kept
    local o, kept = rule(inputs, call)
    layer.keep(self, kept)
    return o
  end
end

return {
  name = "attention",
  doc = "Multi-head mixing of tokens: x (b, n, width) -> (b, n, width) by any fv.attention or fv.rule.\n"
     .. "mixer is its name (attention first; \"rule:linear\" where both have it; its options in\n"
     .. "mixer_options) or the thing itself. Attention has projections q, k, v; a rule has one for each\n"
     .. "input of its signature: rates by a sigmoid, log gates -e^{A_log} softplus(.), at most 0, and\n"
     .. "what is one a head as parameters; option project chooses another kind by input.\n"
     .. "Delta rules take silu and unit keys and queries (feature). Rules' heads are RMS-normed. Rules\n"
     .. "are causal; a method without a causal form needs causal=false.\n"
     .. "Random features, and landmarks that are drawn, are a function of seed (of mixer_options, else the\n"
     .. "layer's), path and draw: no two layers share them. redraw=k gives those of draw step // k to\n"
     .. "layer:train(step), as the Performer paper redraws them in training; layer:eval() keeps the last\n"
     .. "ones, and so do files of layer:save. Default: one draw for ever. A mixer that is no name keeps\n"
     .. "its own seed; where nothing is drawn redraw does nothing. layer.mixer is what is in use.\n"
     .. "layer(x, options) hands options such as key_length to the mixer.",
  caps = "streaming",
  options = {
    { "width", "integer", nil, "size of a token", required = true, lo = 1 },
    { "heads", "integer", 1, "number of heads", lo = 1 },
    { "kv_heads", "integer", nil, "key and value heads; a divisor of heads", lo = 1 },
    { "head_width", "integer", nil, "size of a head; width / heads unless given", lo = 1 },
    { "mixer", "any", "softmax", "name, fv.attention or fv.rule" },
    { "mixer_options", "table", nil, "options of the mixer, where it is a name" },
    { "redraw", "string|integer", nil, "steps from one draw of random features to the next; the mixer's unless given",
      choices = { "fixed", "per_call" }, lo = 1 },
    { "causal", "boolean", true, "tokens see those before alone" },
    { "rotary", "boolean", false, "turn queries and keys by their positions" },
    { "conv", "integer", 0, "taps of a short convolution, then silu, on queries, keys and values; 0: none",
      lo = 0, hi = 64 },
    { "feature", "string", nil, "of queries and keys; the mixer's usual one unless given",
      choices = { "none", "l2", "silu_l2", "softmax", "elu1" } },
    { "project", "table", nil, "kinds of projections by input, where the mixer is a rule" },
    { "sizes", "table", nil, "more sizes by letter of the rule's signature: {j=2} for delta_product" },
    { "norm", "boolean", nil, "RMS norm of each head's result; for rules unless given" },
    { "gate", "boolean", false, "multiply the result with silu of a projection" },
    { "bias", "boolean", false, "of attention's projections and the last" },
    { "init", "any", "lecun", "of the weights, as for fv.nn.linear" },
    { "out_init", "any", nil, "of the last projection; init unless given" }
  },
  example = 'y = fv.nn.attention{width=64, heads=4, mixer="gated_delta"}(x)',
  build = function(opt, name)
    local l = layer.new(opt)
    local mixer, is_rule = resolve(opt.mixer, name, opt.mixer_options, opt.redraw)
    if not opt.head_width and opt.width % opt.heads ~= 0 then
      error(("%s: option 'heads': expected a divisor of width=%d, got %d"):format(name, opt.width,
            opt.heads), 0)
    end
    local d = opt.head_width or opt.width // opt.heads
    local size = { width = opt.width, heads = opt.heads, d = d, e = d }
    for letter, n in pairs(opt.sizes or {}) do size[letter] = n end
    if not opt.causal then
      l.whole = "with causal=false tokens see those that come later"
    elseif not (mixer.caps and mixer.caps.streaming) then
      l.whole = ("the caps of '%s' do not say streaming"):format(mixer.name)
    end
    local kernel = is_rule and rawget(mixer, "kernel")
    l.feature = project.features[opt.feature or project.feature(kernel and kernel.name, opt.conv)]
    l.mix = (is_rule and recurrence or attention)(l, mixer, opt, size)
    l.mixer = mixer
    if not is_rule then
      local seed = type(opt.mixer) == "string" and ((opt.mixer_options or {}).seed or opt.seed)
      draws.install(l, mixer, seed, opt.redraw, d)
    end
    l.turn = project.features.none
    if opt.rotary then l.turn = layer.child(l, "rotary", "rotary", { width = d }) end
    local norm = opt.norm
    if norm == nil then norm = is_rule end
    if norm then layer.child(l, "norm", "rms_norm", { width = d }) end
    if opt.gate then
      layer.child(l, "gate", "linear",
                  { inputs = opt.width, outputs = opt.heads * d, bias = false, init = opt.init })
    end
    layer.child(l, "out", "linear", { inputs = opt.heads * d, outputs = opt.width, bias = opt.bias,
                                      init = opt.out_init or opt.init })
    l.call = function(self, x, given)
      layer.check(self, "x", x, opt.width, 3)
      if given ~= nil and type(given) ~= "table" then layer.bad(self, "options", "a table", given) end
      local o = self.mix(self, x, given)
      if norm then o = self.norm(o) end
      o = merge(o)
      if opt.gate then o = fv.silu_mul(self.gate(x), o) end
      return self.out(o)
    end
    return l
  end
}
