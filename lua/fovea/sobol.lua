--- Direction numbers of the Sobol sequence.

local fv = require "fovea"

local sobol = { bits = 32 }
local BITS = sobol.bits

--- Coefficients of the primitive polynomials over GF(2) by degree, as integers with the
--- bits of x^s .. 1: those modulo which x has order 2^s - 1.
local function primitive(count)
  local list, s = {}, 0
  while #list < count do
    s = s + 1
    for poly = (1 << s) + 1, (2 << s) - 1, 2 do
      local x, order = 1, 0
      repeat
        x = x << 1
        if x >> s == 1 then x = x ~ poly end
        order = order + 1
      until x <= 1
      if x == 1 and order == (1 << s) - 1 then list[#list + 1] = { degree = s, poly = poly } end
      if #list == count then break end
    end
  end
  return list
end

--- Candidate c for the direction numbers v_1 .. v_32, as 32-bit integers, of a coordinate
--- with primitive polynomial p.  Its initial m_1 .. m_s are free but for being odd and below
--- 2^k: a fixed draw named by the polynomial and c.
local function candidate(p, c)
  local free, m, v, s = fv.rng(c):stream("sobol directions " .. p.poly), {}, {}, p.degree
  for k = 1, s do m[k] = 2 * free:integers(0, (1 << (k - 1)) - 1) + 1 end
  for k = s + 1, BITS do
    m[k] = m[k - s] ~ (m[k - s] << s)
    for i = 1, s - 1 do
      if p.poly >> (s - i) & 1 == 1 then m[k] = m[k] ~ (m[k - i] << i) end
    end
  end
  for k = 1, BITS do v[k] = m[k] << (BITS - k) end
  return v
end

--- Van der Corput's coordinate.
local function first()
  local v = {}
  for k = 1, BITS do v[k] = 1 << (BITS - k) end
  return v
end

--- How uneven 2^m points are in the plane of two coordinates: t, so that every dyadic box of
--- volume 2^(t-m) holds 2^t of them (Niederreiter 1987).  Bit r of the i-th coordinate of
--- point n is the product of the bits of n with column r of its direction numbers; a box
--- r x s is even if those r + s columns are independent.
local function columns(v, m)
  local list = {}
  for r = 1, m do
    list[r] = 0
    for k = 1, m do list[r] = list[r] | (v[k] >> (BITS - r) & 1) << (k - 1) end
  end
  return list
end

local function insert(basis, x)
  for i = 1, #basis do
    local b = basis[i]
    if x ~ b < x then x = x ~ b end
  end
  if x == 0 then return false end
  local at = #basis + 1
  while at > 1 and basis[at - 1] < x do at = at - 1 end
  table.insert(basis, at, x)
  return true
end

local function defect(a, b, m)
  local least = m
  for r = 0, m do
    local basis, s = {}, 0
    for i = 1, r do
      if not insert(basis, a[i]) then return m - math.min(least, i - 1) end
    end
    while r + s < m and s < m and insert(basis, b[s + 1]) do s = s + 1 end
    least = math.min(least, r + s)
  end
  return m - least
end

--- For coordinates 2 .. dim, which candidate has the smallest sum of 4^t over the planes
--- with those before it and 2^m points, m of 'sizes'.  There are 'tries' candidates up to
--- the 20th coordinate, fewer beyond in inverse proportion, at least 48.
function sobol.search(dim, tries, sizes)
  local before, best = {}, {}
  local function faces(v)
    local list = {}
    for i, m in ipairs(sizes) do list[i] = columns(v, m) end
    return list
  end
  before[1] = faces(first())
  for j, p in ipairs(primitive(dim - 1)) do
    local least, kept = math.huge, nil
    for c = 1, p.degree == 1 and 1 or math.max(48, math.min(tries, 20 * tries // j)) do
      local mine, sum = faces(candidate(p, c)), 0
      for _, other in ipairs(before) do
        for i, m in ipairs(sizes) do sum = sum + 4 ^ defect(mine[i], other[i], m) end
        if sum >= least then break end
      end
      if sum < least then least, kept, best[j] = sum, mine, c end
    end
    before[j + 1] = kept
  end
  return best
end

--- sobol.search(256, 1000, {3, .., 10}), by experiments/sobol_directions.
local chosen = {
  1, 1, 15, 1, 63, 133, 688, 467, 29, 354, 139, 68, 143, 403, 787, 143, 422, 556, 251, 358, 75, 327,
  232, 71, 455, 533, 177, 288, 498, 603, 69, 619, 513, 358, 189, 414, 251, 492, 10, 431, 177, 358,
  436, 360, 273, 200, 353, 80, 377, 359, 62, 16, 176, 269, 216, 212, 239, 259, 156, 259, 29, 284,
  150, 40, 28, 155, 207, 256, 59, 97, 88, 108, 221, 173, 200, 83, 258, 137, 108, 226, 14, 190, 196,
  67, 10, 175, 188, 84, 207, 1, 26, 35, 58, 15, 207, 205, 117, 131, 91, 45, 156, 51, 142, 99, 96,
  45, 34, 83, 73, 19, 32, 164, 135, 53, 3, 94, 149, 48, 46, 104, 101, 16, 154, 124, 145, 115, 88,
  10, 153, 111, 53, 49, 139, 34, 56, 138, 129, 23, 127, 45, 46, 26, 86, 10, 12, 88, 26, 105, 123,
  124, 10, 84, 21, 25, 42, 97, 59, 93, 22, 89, 51, 71, 22, 19, 39, 61, 73, 8, 20, 112, 102, 116, 87,
  94, 21, 66, 10, 20, 47, 8, 2, 45, 89, 95, 82, 25, 17, 85, 31, 61, 61, 21, 67, 75, 82, 29, 82, 8,
  81, 8, 14, 80, 75, 66, 97, 82, 40, 25, 13, 46, 47, 67, 30, 69, 64, 22, 40, 56, 73, 49, 48, 90, 55,
  29, 60, 29, 62, 20, 49, 81, 59, 9, 71, 37, 8, 53, 32, 55, 81, 11, 61, 80, 67, 15, 74, 9, 27, 13,
  63, 69, 19, 16, 41, 28, 41,
}

sobol.most = #chosen + 1

--- Direction numbers of coordinates 1 .. dim.
function sobol.directions(dim)
  local list = { first() }
  for j, p in ipairs(primitive(dim - 1)) do list[j + 1] = candidate(p, chosen[j]) end
  return list
end

return sobol
