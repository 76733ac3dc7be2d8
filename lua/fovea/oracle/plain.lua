--- Vectors and matrices as lists of Lua's doubles: what the references are written in.

local plain = {}

function plain.dot(a, b)
  local s = 0
  for i = 1, #a do s = s + a[i] * b[i] end
  return s
end

--- f of the entries of lists (numbers stand for constant lists).
function plain.map(f, ...)
  local out, lists = {}, { ... }
  for i = 1, #lists[1] do
    local row = {}
    for j, list in ipairs(lists) do row[j] = type(list) == "table" and list[i] or list end
    out[i] = f(table.unpack(row))
  end
  return out
end

function plain.times(a, b) return plain.map(function(x, y) return x * y end, a, b) end

function plain.zeros(n, m)
  local z = {}
  for i = 1, n do
    z[i] = {}
    for j = 1, m do z[i][j] = 0 end
  end
  return z
end

--- S' y
function plain.read(S, y)
  local o = {}
  for j = 1, #S[1] do
    o[j] = 0
    for i = 1, #S do o[j] = o[j] + S[i][j] * y[i] end
  end
  return o
end

--- (Diag(alpha) + b a') S + k v'; alpha a number or a list, a and b may be absent.
function plain.advance(S, alpha, a, b, k, v)
  local y, new = a and plain.read(S, a), {}
  for i = 1, #S do
    new[i] = {}
    for j = 1, #S[1] do
      local decay = type(alpha) == "table" and alpha[i] or alpha
      new[i][j] = decay * S[i][j] + (a and b[i] * y[j] or 0) + k[i] * v[j]
    end
  end
  return new
end

function plain.transpose(A)
  local T = {}
  for j = 1, #A[1] do
    T[j] = {}
    for i = 1, #A do T[j][i] = A[i][j] end
  end
  return T
end

function plain.product(A, B)
  local T, C = plain.transpose(B), {}
  for i = 1, #A do
    C[i] = {}
    for j = 1, #T do C[i][j] = plain.dot(A[i], T[j]) end
  end
  return C
end

--- w / sum(w) with w_j = exp(s_j - max s); -inf counts as absent.
function plain.softmax(s)
  local top, sum, w = -math.huge, 0, {}
  for _, v in ipairs(s) do top = math.max(top, v) end
  for j, v in ipairs(s) do
    w[j] = top == -math.huge and 0 or math.exp(v - top)
    sum = sum + w[j]
  end
  for j = 1, #w do w[j] = sum > 0 and w[j] / sum or 0 end
  return w
end

return plain
