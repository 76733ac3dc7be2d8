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
  1, 1, 15, 1, 63, 7, 43, 3, 29, 37, 18, 27, 12, 12, 36, 61, 29, 39, 38, 3, 33, 17, 64, 14, 56, 43,
  39, 33, 57, 59, 21, 30, 8, 42, 17, 12, 55, 40, 40, 45, 44, 40, 59, 17, 14, 41, 32, 44, 20, 14, 51,
  19, 7, 54, 37, 18, 39, 38, 42, 9, 37, 8, 7, 3, 56, 40, 48, 46, 61, 57, 41, 51, 64, 18, 16, 32, 35,
  39, 4, 29, 63, 52, 36, 4, 7, 42, 7, 13, 41, 43, 12, 14, 36, 6, 38, 33, 51, 53, 63, 44, 49, 50, 4,
  40, 20, 30, 47, 43, 52, 48, 58, 56, 53, 13, 49, 8, 17, 54, 6, 33, 35, 37, 50, 32, 49, 58, 27, 52,
  34, 61, 5, 20, 58, 21, 30, 50, 43, 32, 1, 49, 17, 23, 43, 20, 49, 28, 25, 18, 1, 34, 29, 16, 1, 3,
  59, 46, 10, 12, 54, 64, 24, 47, 28, 6, 24, 39, 19, 20, 45, 33, 35, 61, 60, 7, 11, 23, 57, 4, 16,
  22, 44, 60, 32, 56, 38, 18, 10, 40, 48, 52, 50, 45, 14, 13, 33, 8, 61, 53, 21, 53, 62, 17, 61, 29,
  38, 33, 32, 41, 1, 32, 7, 48, 28, 11, 30, 33, 16, 49, 22, 34, 47, 42, 50, 13, 34, 20, 5, 50, 21,
  5, 56, 50, 28, 57, 44, 47, 54, 14, 25, 33, 46, 30, 11, 33, 23, 63, 8, 25, 11, 23, 37, 38, 42, 55,
  7,
}

sobol.most = #chosen + 1

--- Direction numbers of coordinates 1 .. dim.
function sobol.directions(dim)
  local list = { first() }
  for j, p in ipairs(primitive(dim - 1)) do list[j + 1] = candidate(p, chosen[j]) end
  return list
end

return sobol
