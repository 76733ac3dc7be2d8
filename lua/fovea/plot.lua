--- Figures by gnuplot: curves with error bands, several panels beside each other.
---
---   plot { title=, panels = { { title=, xlabel=, ylabel=, logx=, logy=,
---          lines = { { name=, x = {..}, y = {..}, lo = {..}, hi = {..} }, ... },
---          levels = { { name=, y= }, ... } } } }  :save("fig.png" or "fig.svg")
---
--- The gnuplot script, data inside, is kept beside each figure as a record.

local results = require "fovea.results"

local plot = {}
plot.__index = plot

local colours = { "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#666666",
                  "#8c564b", "#17becf", "#bcbd22" }   -- Wong 2011 first: colour-blind safe

local function quote(s)
  return '"' .. tostring(s):gsub('[\\"]', "\\%0"):gsub("\n", " ") .. '"'
end

local function block(out, name, line)
  out[#out + 1] = ("$%s << EOD"):format(name)
  for i = 1, #line.x do
    local y = line.y[i]
    out[#out + 1] = ("%.9g %.9g %.9g %.9g"):format(line.x[i], y, line.lo and line.lo[i] or y,
                                                   line.hi and line.hi[i] or y)
  end
  out[#out + 1] = "EOD"
end

local function script(spec, path)
  local out, n = {}, #spec.panels
  local svg = path:find "%.svg$"
  local wide, tall = 460 * n + 190, spec.height or 480   -- the key has its own column
  out[#out + 1] = svg
    and ("set terminal svg size %d,%d dynamic enhanced font 'DejaVu Sans,12' background '#ffffff'")
      :format(wide, tall)
    or ("set terminal pngcairo size %d,%d enhanced font 'DejaVu Sans,18'"):format(2 * wide, 2 * tall)
  out[#out + 1] = "set output " .. quote(path)
  out[#out + 1] = "set termoption noenhanced"
  for i, p in ipairs(spec.panels) do
    for j, line in ipairs(p.lines) do block(out, ("d%d_%d"):format(i, j), line) end
  end
  out[#out + 1] = ("set multiplot layout 1,%d title %s"):format(n, quote(spec.title or ""))
  out[#out + 1] = "set grid back lw 1 lc rgb '#dddddd'\nset border 3\nset tics nomirror"
  out[#out + 1] = "set style fill transparent solid 0.15 noborder"
  for i, p in ipairs(spec.panels) do
    out[#out + 1] = "unset logscale\nset title " .. quote(p.title or "")
    out[#out + 1] = "set xlabel " .. quote(p.xlabel or "") .. "\nset ylabel " .. quote(p.ylabel or "")
    if p.logx then out[#out + 1] = "set logscale x " .. (p.logx == true and 10 or p.logx) end
    if p.logy then out[#out + 1] = "set logscale y" end
    out[#out + 1] = p.yrange and ("set yrange [%s]"):format(p.yrange) or "set yrange [*:*]"
    out[#out + 1] = "set format y '%g'"
    out[#out + 1] = ("set lmargin at screen %.4f\nset rmargin at screen %.4f"):format(
      (460 * (i - 1) + 75) / wide, (460 * i - 12) / wide)
    out[#out + 1] = i == n and "set key at screen 0.995, 0.9 right top samplen 1.8" or "unset key"
    local parts = {}
    for j, line in ipairs(p.lines) do
      local c = line.colour or colours[(j - 1) % #colours + 1]
      if line.lo then
        parts[#parts + 1] = ("$d%d_%d using 1:3:4 with filledcurves lc rgb '%s' notitle"):format(i, j, c)
      end
      parts[#parts + 1] = ("$d%d_%d using 1:2 with linespoints lw 2 pt %d ps 0.7 lc rgb '%s' dt %d title %s")
        :format(i, j, line.point or 7, c, line.dash or 1, quote(line.name))
    end
    for _, l in ipairs(p.levels or {}) do
      parts[#parts + 1] = ("%.9g with lines lw 1.5 dt 2 lc rgb '#444444' title %s"):format(l.y, quote(l.name))
    end
    out[#out + 1] = "plot " .. table.concat(parts, ", \\\n     ")
  end
  out[#out + 1] = "unset multiplot"
  return table.concat(out, "\n") .. "\n"
end

--- Writes PNG or SVG by the path's ending, and the script as path with .gp.
function plot:save(path)
  if not path:find "%.png$" and not path:find "%.svg$" then
    error(("plot: cannot save '%s': expected a path that ends in .png or .svg"):format(path), 2)
  end
  local good, err = pcall(results.whole, path, function(temporary)
    local draft = temporary .. ".gp"
    results.write(draft, script(self, temporary))
    local pipe = io.popen("gnuplot '" .. draft:gsub("'", "'\\''") .. "' 2>&1")
    local text = pipe:read "a"
    local drawn = pipe:close()
    os.remove(draft)
    if not drawn then error("gnuplot failed (is it installed? Debian: gnuplot-nox): " .. text, 0) end
  end)
  if not good then error("plot: " .. err, 2) end
  results.write(path:gsub("%.%w+$", path:find "svg$" and ".svg.gp" or ".gp"), script(self, path))
  return path
end

return function(spec) return setmetatable(spec, plot) end
