--- Test Anything Protocol, for prove.  One process per test file; a file that
--- dies early prints no plan, so prove reports it.

local tap = { count = 0, failed = 0 }

function tap.diag(fmt, ...)
  print("# " .. fmt:format(...):gsub("\n", "\n# "))
end

function tap.ok(cond, name, why, ...)
  tap.count = tap.count + 1
  print(("%sok %d - %s"):format(cond and "" or "not ", tap.count, name))
  if not cond then
    tap.failed = tap.failed + 1
    local at = debug.getinfo(2, "Sl")
    tap.diag("%s:%d", at.short_src, at.currentline)
    if why then tap.diag(why, ...) end
  end
  io.stdout:flush()
  return cond
end

function tap.is(got, want, name)
  return tap.ok(got == want, name, "got %s, want %s", tostring(got), tostring(want))
end

--- |got - want| <= tol * max(1, |want|); NaN never passes.
function tap.close(got, want, tol, name)
  local err = math.abs(got - want) / math.max(1, math.abs(want))
  return tap.ok(err <= tol, name, "got %.17g, want %.17g, error %.2g > %.2g", got, want, err, tol)
end

--- Tensors of one shape whose largest difference is at most
--- tol * max(1, largest |want|); NaN never passes.
function tap.near(got, want, tol, name)
  local a, b = { got:shape() }, { want:shape() }
  if table.concat(a, ",") ~= table.concat(b, ",") then
    return tap.ok(false, name, "shapes (%s) and (%s)", table.concat(a, ","), table.concat(b, ","))
  end
  got, want = got:to("f64"), want:to("f64")
  if got:numel() == 0 then return tap.ok(true, name) end
  local err = (got - want):abs():max():item() / math.max(1, want:abs():max():item())
  return tap.ok(err <= tol, name, "error %.3g > %.3g", err, tol)
end

--- f(...) raises a message that matches 'pattern'.
function tap.raises(pattern, name, f, ...)
  local good, msg = pcall(f, ...)
  return tap.ok(not good and tostring(msg):find(pattern), name, "%s",
                good and "no error raised" or ("raised: " .. tostring(msg)))
end

function tap.done()
  print("1.." .. tap.count)
  os.exit(tap.failed == 0, true)
end

return tap
