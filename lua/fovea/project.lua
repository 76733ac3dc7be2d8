-- How a layer makes the inputs of a rule from its tokens x (b, n, width).
--
-- project.kinds[kind](l, a, size, init, taps) adds to layer l what input a (an entry of rule.inputs)
-- needs, and returns f(l, x) -> the input, heads before tokens: (b, heads, n, ...), or
-- (heads, ...) for what is the same for all tokens.  size has the letters of a.dims and
-- heads, init is that of weights, taps those of a short convolution after it (0: none).  A
-- rule's entry may name the kind of an input, project = { g = "logsigmoid" }; else its name tells.

local core = require "fovea.core"
local layer = require "fovea.layer"

local project = { kinds = {} }
local kinds = project.kinds

--- Sizes of a.dims, without the token, and their product.
local function rest(a, size)
  local list, n = {}, 1
  for _, letter in ipairs(a.dims) do
    if letter ~= "n" then
      if not size[letter] then
        error(("attention: input '%s' of the rule has a dimension '%s': give its size, sizes={%s=}"):format(
              a.name, letter, letter), 0)
      end
      list[#list + 1], n = size[letter], n * size[letter]
    end
  end
  return list, n
end

--- y (b, n, heads * sizes) -> (b, heads, n, sizes), copied once: both passes of an operator
--- would copy a view.
local function split(y, heads, sizes)
  local shape = { y:shape() }
  shape[#shape] = heads
  local at = #shape
  table.move(sizes, 1, #sizes, at + 1, shape)
  return y:reshape(shape):transpose(at - 1, at):contiguous()
end
project.split = split

--- A short convolution and its silu for input 'name', unless taps is 0.
function project.conv(l, name, width, taps)
  if taps > 0 then layer.child(l, "conv_" .. name, "conv", { width = width, taps = taps, silu = true }) end
end

--- A projection with activation 'act' and, where 'first' is given, a bias that begins there.
local function projection(act, first)
  return function(l, a, size, init, taps)
    local sizes, n = rest(a, size)
    layer.child(l, a.name, "linear", { inputs = size.width, outputs = size.heads * n, bias = false,
                                       init = init })
    local b = first and layer.param(l, a.name .. "_bias", { size.heads * n }, first)
    project.conv(l, a.name, size.heads * n, taps)
    return function(self, x)
      local y = self[a.name](x)
      if taps > 0 then y = self["conv_" .. a.name](y) end
      if b then y = y + b end
      return split(act and act(y) or y, size.heads, sizes)
    end
  end
end

kinds.linear = projection()
kinds.offset = projection(nil, { fill = -3 })
kinds.sigmoid = projection(function(y) return y:sigmoid() end, "zeros")
kinds.double_sigmoid = projection(function(y) return y:sigmoid() * 2 end, "zeros")   -- negative eigenvalues
kinds.logsigmoid = projection(function(y) return y:logsigmoid() end, { fill = 3 })
kinds.logsigmoid16 = projection(function(y) return y:logsigmoid() / 16 end, "zeros")

--- Inverse of softplus at steps drawn log-uniformly from [1e-3, 0.1].
local function steps(stream, shape, dtype)
  local d = (stream:uniform(shape[1], { lo = math.log(1e-3), hi = math.log(0.1), dtype = dtype })):exp()
  return d + (-(-d):expm1()):log()
end
local function rates(stream, shape, dtype)
  return stream:uniform(shape[1], { lo = 1, hi = 16, dtype = dtype }):log()
end

--- g = -e^{A_log} softplus(x W' + dt_bias): a log gate, never above 0.
function kinds.decay(l, a, size, init)
  local sizes, n = rest(a, size)
  layer.child(l, a.name, "linear", { inputs = size.width, outputs = size.heads * n, bias = false,
                                     init = init })
  local A = layer.param(l, "A_log", { size.heads }, rates)
  local b = layer.param(l, "dt_bias", { size.heads * n }, steps)
  return function(self, x)
    local y = split((self[a.name](x) + b):softplus(), size.heads, sizes)
    local rate = A:exp():unsqueeze(-1)
    return -(y * (#sizes > 0 and rate:unsqueeze(-1) or rate))
  end
end

--- One number or vector a head, trained.
local function parameter(first)
  return function(l, a, size)
    local shape = { size.heads, table.unpack((rest(a, size))) }
    local p = layer.param(l, a.name, shape, first)
    return function() return p end
  end
end
kinds.zeros, kinds.ones, kinds.rates, kinds.steps =
  parameter "zeros", parameter "ones", parameter(rates), parameter(steps)

--- Kinds by the names rules give their inputs.
local named = {
  q = "linear", C = "linear", r = "linear", k = "linear", B = "linear", kappa = "linear", v = "linear",
  x = "linear", dt = "linear", i = "linear", beta = "sigmoid", g = "decay", f = "logsigmoid", a = "sigmoid",
  erase = "sigmoid", k_a = "ones", r_k = "zeros", u = "zeros", A_log = "rates", dt_bias = "steps", D = "ones",
  decay = "ones", w = "linear"
}

--- The kind of input a of a rule's entry.
function project.kind(entry, a, given)
  local kind = given and given[a.name] or entry and entry.project and entry.project[a.name] or named[a.name]
  if not kind or not kinds[kind] then
    local names = {}
    for name in pairs(kinds) do names[#names + 1] = name end
    table.sort(names)
    error(("attention: %s of input '%s': expected option project = { %s = one of %s }"):format(
          kind and "unknown kind '" .. tostring(kind) .. "'" or "the kind", a.name, a.name,
          table.concat(names, ", ")), 0)
  end
  return kinds[kind]
end

--- What is done to queries and keys before the mixer.
project.features = {
  none = function(x) return x end,
  l2 = function(x) return (core.l2_norm(x)) end,
  silu_l2 = function(x) return (core.l2_norm(x, { silu = true })) end,
  softmax = function(x) return x:softmax(-1) end,
  elu1 = function(x) return core.elu1(x) end
}

--- The features a rule's kernel asks for; convolutions have had their silu.
function project.feature(kernel, taps)
  if kernel == "erase_write_rule" or kernel == "fwm_rule" then return taps > 0 and "l2" or "silu_l2" end
  return kernel == "linear_attention" and "elu1" or "none"
end

return project
