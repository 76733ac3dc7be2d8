--- W = sqrt(p) S H G P H B in blocks: two Hadamard transforms for a normal matrix

local fv = require "fovea"
local blocks = require "fovea.blocks"

local function draw(opt)
  local source, p = blocks.source(opt), 1
  while p < opt.dim do p = p * 2 end
  local B = blocks.count(opt, p)
  local signs = (source "signs":integers(0, 1, B, 1, p) * 2 - 1):to "f64"
  local normal = source "normal":normal(B, 1, p, { dtype = "f64" })
  local norm = blocks.norms(opt, source, B * p, p):reshape(B, 1, p) / normal:norm(3, { keepdim = true })
  local order, permute = {}, source "permutation"
  for b = 1, B do order[b] = permute:permutation(p) + (b - 1) * p end
  order = fv.cat(order, 1)
  return function(x)
    local n, pad = x:numel() // opt.dim, p - opt.dim
    x = x:reshape(1, n, opt.dim)
    if pad > 0 then x = fv.cat({ x, fv.zeros({ 1, n, pad }, { dtype = x:dtype() }) }, 3) end
    local function like(t) return t:to(x:dtype()) end
    local u = fv.hadamard(x * like(signs))                                       -- (B, n, p)
    u = u:transpose(1, 2):reshape(n, B * p):index_select(2, order):reshape(n, B, p):transpose(1, 2)
    u = fv.hadamard(u * like(normal)) * like(norm * p ^ 0.5)
    return u:transpose(1, 2):reshape(n, B * p):slice(2, 1, opt.rows)
  end
end

return {
  name = "fastfood",
  doc = "Fastfood: blocks sqrt(p) S H G P H B of p = 2^ceil(log2 d) rows, their first d columns, for\n"
     .. "normalised Hadamard H, signs B, a permutation P, normals G and row norms S. Each row has\n"
     .. "the law N(0,I) by itself; rows of a block share G and depend on each other. Maps apply it\n"
     .. "without forming W, O(m log p) a row of x.",
  ref = "Le, Sarlos & Smola 2013, \"Fastfood: approximating kernel expansions in loglinear time\"",
  caps = "unbiased",
  options = { blocks.norms_option() },
  example = 'W = fv.sample("fastfood", {rows=256, dim=64, seed=1})',
  structured = draw,
  build = function(opt)
    return draw(opt)(fv.eye(opt.dim, { dtype = "f64" })):t():contiguous():to(opt.dtype)
  end
}
