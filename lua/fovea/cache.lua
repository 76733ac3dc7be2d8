-- Keys and values seen so far, for methods that need them all.
--
-- cache.append(past, k, v, who) -> { k =, v = } of past and these, past being {} or such a table.
-- k and v are views of room that is made twice as large when it is full: a token costs O(1) copies
-- on average. Where a gradient flows through them they are joined instead.
-- Only the first to go on from a state uses its room; another gets room of its own.

local core = require "fovea.core"
local node, unseen = core.taping.node, core.taping.unseen
local copy_ = getmetatable(core.empty(0)).methods.copy_

local cache = {}

cache.option = { "state", "table", nil, "to go on from: {} at first, then the third result of the last call" }

local function text(x) return "(" .. table.concat({ x:shape() }, ",") .. ")" end

--- Raises: x does not go on from the tensor 'before' but for its tokens.
local function check(who, name, before, x)
  local fits = before:ndim() == x:ndim() and before:dtype() == x:dtype()
  for i = 1, fits and x:ndim() or 0 do
    fits = fits and (i == x:ndim() - 1 or before:size(i) == x:size(i))
  end
  if not fits then
    error(("%s: option 'state': %s is %s %s and cannot go on from %s %s"):format(who, name, x:dtype(),
          text(x), before:dtype(), text(before)), 0)
  end
end

--- Room for 'most' tokens like x, with those of 'before' (or nil) in it.
local function room_for(most, x, before)
  local shape = { x:shape() }
  shape[#shape - 1] = most
  local room = core.empty(shape, { dtype = x:dtype() })
  if before then room:slice(-2, 1, before:size(-2)):copy_(before) end
  return room
end

function cache.append(past, k, v, who)
  local before = past.k and past.k:size(-2) or 0
  local n = before + k:size(-2)
  if before > 0 then
    check(who, "k", past.k, k)
    check(who, "v", past.v, v)
    if node(k) or node(v) or node(past.k) or node(past.v) then
      return { k = core.cat({ past.k, k }, -2), v = core.cat({ past.v, v }, -2) }
    end
  elseif node(k) or node(v) then
    return { k = k, v = v }
  end
  local room = past.room
  if not room or room.filled ~= before or room.k:size(-2) < n then
    room = { k = room_for(2 * n, k, past.k), v = room_for(2 * n, v, past.v) }
  end
  room.filled = n
  unseen(copy_, room.k:slice(-2, before + 1, n), k)     -- what was given out ends before
  unseen(copy_, room.v:slice(-2, before + 1, n), v)
  return { k = room.k:slice(-2, 1, n), v = room.v:slice(-2, 1, n), room = room }
end

return cache
