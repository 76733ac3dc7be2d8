--- fv.kernel(name, options) -> kernel: kernel functions: k(x, y) is their Gram matrix
--- x (..., n, d), y (..., m, d) -> (..., n, m). y may be left out: the Gram matrix of x with
--- itself, exactly symmetric, for half the work. x and y are f32 or f64; results have gradients
--- with respect to both. k:diag(x) -> (..., n) is the diagonal alone.
--- Kernels can be combined: k1 + k2, k1 * k2, 3 * k, k + 1 (a constant) and k^2 are kernels
--- again, positive semidefinite if their parts are. fv.kernel("user", {f=}) takes a function of
--- your own, fv.kernel.register an entry. k.formula says what a kernel is made of, k.caps.nonneg
--- that no entry is negative. For a scale that learns, multiply x and y by it instead.
--- Cost: k:cost{n=, m=, d=}.
--- What is built on kernels: fv.nystroem, fv.krr, fv.spectrum.
--- Example: k = fv.kernel("matern", {nu=1.5, scale=2}) + 0.1 * fv.kernel("polynomial"); k(x, y)

local options = require "fovea.options"
local registry = require "fovea.registry"

local kernel

local function is_kernel(k) return type(k) == "table" and rawget(k, "kind") == "kernel" end

--- Both sides of k1 + k2 or k1 * k2; a number is a constant kernel.
local function sides(a, b, what)
  local list = { a, b }
  for i, k in ipairs(list) do
    if type(k) == "number" then
      if not (k >= 0 and k < math.huge) then
        error(("kernel: %s: expected a number from 0, got %s"):format(what, k), 3)
      end
    elseif not is_kernel(k) then
      error(("kernel: %s: expected kernels or numbers, got a %s"):format(what, options.type(k)), 3)
    end
    list[i] = k
  end
  return list[1], list[2]
end

local function add(a, b)
  a, b = sides(a, b, "sum")
  local function part(k) return type(k) == "number" and kernel("constant", { value = k }) or k end
  return kernel("sum", { parts = { part(a), part(b) } })
end

local function mul(a, b)
  a, b = sides(a, b, "product")
  if type(b) == "number" then a, b = b, a end
  if type(a) == "number" then return kernel("scaled", { factor = a, kernel = b }) end
  return kernel("product", { parts = { a, b } })
end

local function pow(k, p)
  if not is_kernel(k) or math.type(p) ~= "integer" or p < 1 then
    error(("kernel: power: expected a kernel to the power of 1, 2, ..., got %s"):format(tostring(p)), 2)
  end
  local parts = {}
  for i = 1, p do parts[i] = k end
  return kernel("product", { parts = parts })
end

local function check(name, x, y)
  for i, t in ipairs { x or false, y or false } do
    local arg = ("xy"):sub(i, i)
    local function bad(want, got)
      error(("bad argument #%d to '%s' (%s: expected %s, got %s)"):format(i, name, arg, want, got), 4)
    end
    if options.type(t) ~= "tensor" then bad("a tensor", t and options.type(t) or "no value") end
    local shape = "(" .. table.concat({ t:shape() }, ",") .. ")"
    if t:dtype() ~= "f32" and t:dtype() ~= "f64" then bad("f32 or f64", t:dtype()) end
    if t:ndim() < 2 then bad("(..., n, d)", shape) end
    if t:size(-1) ~= x:size(-1) then bad(("(...,m,d=%d)"):format(x:size(-1)), shape) end
    if t:dtype() ~= x:dtype() then bad(x:dtype() .. " like x", t:dtype() .. "; convert with :to") end
  end
end

local function finish(object, entry, values)
  local gram, diag = object.gram, object.diag
  object.call = function(_, x, y, ...)
    if select("#", ...) > 0 then error(("%s: expected (x, y)"):format(entry.name), 3) end
    if y == nil then y = x end
    check(entry.name, x, y)
    return gram(x, y)
  end
  object.diag = function(_, x)
    check(entry.name, x, x)
    if diag then return diag(x) end
    local rows = x:unsqueeze(-2)            -- n problems of one point each
    return gram(rows, rows):squeeze(-1):squeeze(-1)
  end
  object.formula = object.formula or entry.name .. " " .. options.text(entry.options, values)
end

kernel = registry.new {
  kind = "kernel", folder = "fovea.kernels", finish = finish,
  meta = { __add = add, __mul = mul, __pow = pow, __tostring = function(k)
    return "kernel " .. k.formula .. "\n" .. k.doc:match("[^\n]*")
  end },
  source = function()
    return registry.descriptors("kernel", function(op)
      return function(opt)
        return {
          gram = function(x, y)
            if rawequal(x, y) then return (op(x, opt)) end
            return (op(x, y, opt))
          end,
          cost = function(_, sizes)
            local all = { n = sizes.n, m = sizes.m, d = sizes.d }
            for name, value in pairs(opt) do all[name] = value end
            return op:cost(all)
          end
        }
      end
    end)
  end
}
return kernel
