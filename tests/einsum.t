-- einsum.t: every form of einsum against loops over its letters.
local fv = require "fovea"
local tap = require "tap"

-- Small integers: every sum below is exact.
local function integers(dtype, ...)
  local n = 1
  for _, s in ipairs { ... } do n = n * s end
  local t = {}
  for i = 1, n do t[i] = (i * 7 + n) % 11 - 5 end
  return fv.tensor(t, { dtype = dtype }):reshape(...)
end

-- The definition: one loop per letter.
local function loops(spec, ...)
  local ins, out = spec:match("^(.*)%->(.*)$")
  local terms, size, letters = {}, {}, {}
  for t in ins:gmatch "[^,]+" do terms[#terms + 1] = t end
  for k, x in ipairs { ... } do
    for d = 1, #terms[k] do
      local l = terms[k]:sub(d, d)
      if not size[l] then size[l], letters[#letters + 1] = x:size(d), l end
    end
  end
  local shape, strides, total = {}, {}, 1
  for d = #out, 1, -1 do
    local l = out:sub(d, d)
    shape[d], strides[l] = size[l], total
    total = total * size[l]
  end
  local acc, at, xs = {}, {}, { ... }
  for i = 1, total do acc[i] = 0 end
  local function go(k)
    if k > #letters then
      local v, o = 1, 1
      for i, t in ipairs(terms) do
        local idx = {}
        for d = 1, #t do idx[d] = at[t:sub(d, d)] end
        v = v * (#t > 0 and xs[i]:get(table.unpack(idx)) or xs[i]:item())
      end
      for l, s in pairs(strides) do o = o + (at[l] - 1) * s end
      acc[o] = acc[o] + v
      return
    end
    for i = 1, size[letters[k]] do
      at[letters[k]] = i
      go(k + 1)
    end
  end
  go(1)
  local r = fv.tensor(acc, { dtype = "f64" })
  return #out > 0 and r:reshape(table.unpack(shape)) or r:reshape(1):squeeze()
end

local size = { b = 2, h = 3, n = 4, m = 5, d = 6, e = 2, i = 4, j = 3, k = 2, f = 3, c = 2 }
for _, spec in ipairs {
  "bhnd,bhmd->bhnm", "bhnm,bhmd->bhnd", "bnhd,bmhd->bhnm", "bhnm,bmhd->bnhd", "bhnd,hde->bhne",
  "bnd,de->bne", "nd,md->nm", "nd,nd->n", "nd,nd->", "nd,ne->de", "bhde,bhnd->bhne", "i,j->ij",
  "ij,j->i", "ij,ij->ij", "ij,jk->ki", "ii->i", "ii->", "ij->ji", "ij->", "ij->j", "ijk->ki",
  "bhn,bhne->bhe", "nf,md,fd->nm", "ij,jk,kn->in", "ijj,jk->ik", "id,jd,id->ij", "ij,k->ik",
  "ijk,jik->k", "cbd,dbi->ic", "bhcnd,bhcmd->bhcnm"
} do
  local args = {}
  for t in spec:match("^(.*)%->"):gmatch "[^,]+" do
    local shape = {}
    for d = 1, #t do shape[d] = size[t:sub(d, d)] end
    args[#args + 1] = integers("f64", table.unpack(shape))
  end
  tap.near(fv.einsum(spec, table.unpack(args)), loops(spec, table.unpack(args)), 0, spec)
end

local a, b = integers("f64", 2, 3, 4), integers("f64", 4, 5)
tap.near(fv.einsum("...ij,jk->...ik", a, b), a:matmul(b), 0, "'...' is the batch")
tap.near(fv.einsum("...j,jk", a, b), a:matmul(b), 0, "without '->': '...', then the alphabet")
tap.near(fv.einsum("ba", b), b:t(), 0, "without '->' a transpose")
tap.is(fv.einsum("ii", integers("f64", 3, 3)):ndim(), 0, "without '->' a trace")
tap.near(fv.einsum("...d,...d->...", a, integers("f64", 2, 1, 4)),
         (a * integers("f64", 2, 1, 4)):matmul(fv.ones(4, { dtype = "f64" })), 0,
         "'...' broadcasts")
tap.near(fv.einsum("b h, h->b", b, integers("f64", 5)), b:matmul(integers("f64", 5)), 0,
         "blanks do not count")
tap.near(fv.einsum("ijkbcd,ijkbce->ijkbc", integers("f64", 2, 2, 1, 3, 2, 2),
                   integers("f64", 2, 2, 1, 3, 2, 3)),
         loops("ijkbcd,ijkbce->ijkbc", integers("f64", 2, 2, 1, 3, 2, 2),
               integers("f64", 2, 2, 1, 3, 2, 3)), 0, "five batch letters")
tap.near(fv.einsum("ijkbcd,ijkbcd->ijkbc", integers("f64", 2, 2, 1, 3, 2, 2),
                   integers("f64", 2, 2, 1, 3, 2, 2)),
         loops("ijkbcd,ijkbcd->ijkbc", integers("f64", 2, 2, 1, 3, 2, 2),
               integers("f64", 2, 2, 1, 3, 2, 2)), 0, "five batch letters and a sum")
tap.near(fv.einsum("ij,jk->ik", fv.zeros(2, 0), fv.zeros(0, 3)), fv.zeros(2, 3), 0,
         "a sum over nothing is zero")
tap.is(fv.einsum("ij,jk->ik", fv.zeros(0, 2), fv.zeros(2, 3)):numel(), 0, "an empty einsum")
tap.raises("'j' is 4 in tensor 1 but 5 in tensor 2", "a letter of two sizes", fv.einsum,
           "ij,jk->ik", fv.zeros(3, 4), fv.zeros(5, 6))
tap.raises("'k' of the result is in no tensor", "a letter from nowhere", fv.einsum, "ij->ik",
           fv.zeros(2, 2))
tap.raises("'i' occurs twice in the result", "a letter twice in the result", fv.einsum, "ij->ii",
           fv.zeros(2, 2))
tap.raises("names 1 dimensions of a tensor that has 2", "too few letters", fv.einsum, "i->i",
           fv.zeros(2, 2))
tap.raises("names 2 tensors, got 3", "too many tensors", fv.einsum, "i,j->ij", fv.zeros(2),
           fv.zeros(2), fv.zeros(2))
tap.raises("names more than 1 tensor", "too few tensors", fv.einsum, "i,j->ij", fv.zeros(2))
tap.raises("unexpected '%+'", "a stray character", fv.einsum, "i+j->ij", fv.zeros(2))
tap.raises("the result leaves out", "'...' lost", fv.einsum, "...i->i", fv.zeros(2, 2))
tap.raises("more than 6 dimensions", "a product of too many dimensions", fv.einsum,
           "abcd,efgh,ah->bcdefg", fv.zeros(1, 1, 1, 1), fv.zeros(1, 1, 1, 1), fv.zeros(1, 1))
for _, spec in ipairs { "", ",", "->", "...", "i->->", "i-", "i...i...", "....", "i,->", "\0i" } do
  pcall(fv.einsum, spec, fv.zeros(2, 2))
  pcall(fv.einsum, spec, fv.zeros(2), fv.zeros(2))
end
tap.ok(true, "hostile specifications are survived")

tap.done()
