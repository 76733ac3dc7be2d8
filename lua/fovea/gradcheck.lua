--- fv.gradcheck(f, xs, {h=, tol=, points=}) -> gap, place: gradients against central differences
--- f(xs[1], ...) gives one or several tensors; those that are no scalar are weighted with
--- fixed numbers and added. All in f64, with step h (1e-5) in every element of every f32 or
--- f64 tensor among xs, or in 'points' of them. gap is the largest |difference| /
--- max(1, |gradient|); place says where it is. Raises where it is beyond tol (1e-6;
--- math.huge: never) or NaN.
--- Example: fv.gradcheck(function(x) return x:softmax() end, {fv.tensor({1, 2, 3})})

local core = require "fovea.core"
local tape = require "fovea.tape"
local vjp = require "fovea.derivatives".vjp
local options = require "fovea.options"

local list = options.declare({
  { "h", "number", 1e-5, "the step", lo = 1e-12, hi = 1 },
  { "tol", "number", 1e-6, "the gap that is allowed", lo = 0 },
  { "points", "integer", nil, "elements of each tensor to test; all unless given", lo = 1 }
}, "gradcheck", 1)

--- sum_i y_i cos(i + 1), so that no weight is 0 and no two agree.
local function weighted(y)
  local w = core.linspace(2, y:numel() + 1, math.max(1, y:numel()), { dtype = "f64" }):cos()
  return (y:to("f64") * w:slice(1, 1, y:numel()):reshape { y:shape() }):sum()
end

--- Position k of the elements of x in row-major order as "(i,j)".
local function position(x, k)
  local at, shape = {}, { x:shape() }
  k = k - 1
  for d = #shape, 1, -1 do at[d], k = k % shape[d] + 1, k // shape[d] end
  return "(" .. table.concat(at, ",") .. ")"
end

return function(f, xs, opt)
  tape.check("gradcheck", f, xs, "xs")
  opt = options.read(list, opt, "gradcheck", 3)
  if tape.is_tensor(xs) then xs = { xs } end
  local args = {}
  local any = false
  for i = 1, #xs do
    local real = tape.is_real(xs[i])
    args[i], any = real and tape.detach(xs[i]):to("f64"):clone() or xs[i], any or real
  end
  if not any then error("bad argument #2 to 'gradcheck' (xs: expected f32 or f64 tensors among them)", 2) end
  local function loss(...)
    local ys, total = table.pack(f(...)), nil
    for i = 1, ys.n do
      if tape.is_real(ys[i]) then
        local part = weighted(ys[i])
        total = total and total + part or part
      end
    end
    if not total then error("gradcheck: expected the function to return f32 or f64 tensors", 0) end
    return total
  end
  local grads = vjp(loss, args)
  local gap, place = 0, "nothing to compare"
  for i, x in ipairs(args) do
    local g = grads[i] and grads[i]:reshape(-1)
    local flat = g and x:reshape(-1)
    local n = g and g:numel() or 0
    for k = 1, n, opt.points and math.max(1, n // opt.points) or 1 do
      local at = flat:get(k)
      flat:set(k, at + opt.h)
      local up = tape.no_grad(loss, table.unpack(args)):item()
      flat:set(k, at - opt.h)
      local down = tape.no_grad(loss, table.unpack(args)):item()
      flat:set(k, at)
      local got, want = g:get(k), (up - down) / (2 * opt.h)
      local d = math.abs(got - want) / math.max(1, math.abs(want))
      if (d > gap or d ~= d) and gap == gap then
        gap, place = d, ("argument %d at %s: %.9g, differences %.9g"):format(i, position(x, k), got, want)
      end
    end
  end
  if opt.tol < math.huge and (gap > opt.tol or gap ~= gap) then
    error(("gradcheck: gap %.3g > %.3g: %s"):format(gap, opt.tol, place), 2)
  end
  return gap, place
end
