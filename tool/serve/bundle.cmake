# SPDX-License-Identifier: Apache-2.0
# Makes one module of all of web/'s: forty files are forty requests before a first picture, and a
# page that stands alone cannot import at all. Each becomes a function that gives its exports, in
# the order in which they need each other.
#   ebb_bundle(FOLDER LIBRARY RET)     FOLDER/app.js and all that it imports, LIBRARY for uplot.js
function(ebb_bundle folder library ret)
  set_property(GLOBAL PROPERTY EBB_BUNDLE_DONE "")
  set_property(GLOBAL PROPERTY EBB_BUNDLE_TEXT "")
  # First the one that is not ours: its licence belongs to the head of what is served.
  ebb_bundle_module(uplot ${folder} ${library} "")
  ebb_bundle_module(app ${folder} ${library} "")
  get_property(text GLOBAL PROPERTY EBB_BUNDLE_TEXT)
  # A page that stands alone has it inside of itself.
  if(text MATCHES "</[sS][cC][rR][iI][pP][tT]")
    message(FATAL_ERROR "web/: a module would end the script element that it stands in")
  endif()
  set(${ret} "${text}" PARENT_SCOPE)
endfunction()

# One module, behind those that it imports. `above` are those that wait for it.
function(ebb_bundle_module name folder library above)
  get_property(done GLOBAL PROPERTY EBB_BUNDLE_DONE)
  if(name IN_LIST done)
    return()
  endif()
  if(name IN_LIST above)
    message(FATAL_ERROR "web/: modules import each other in a circle: ${above};${name}")
  endif()
  if(name STREQUAL "uplot")
    file(READ ${library} body)
    string(APPEND body "\nreturn { uPlot };")
  else()
    file(READ ${folder}/${name}.js body)
    string(REGEX MATCHALL "\nimport [^\n]*" imports "\n${body}")
    foreach(line IN LISTS imports)
      if(line MATCHES "from \"./([a-z_]+).js\"")
        ebb_bundle_module(${CMAKE_MATCH_1} ${folder} ${library} "${above};${name}")
      endif()
    endforeach()
    # `import uPlot from` is the one without braces.
    string(REGEX REPLACE "\nimport ([A-Za-z]+) from \"./([a-z_]+).js\";"
           "\nconst { \\1 } = module_\\2;" body "\n${body}")
    string(REGEX REPLACE "\nimport ({[^}]*}) from \"./([a-z_]+).js\";"
           "\nconst \\1 = module_\\2;" body "${body}")
    string(REGEX MATCHALL "\nexport (async )?(function|class|const) [A-Za-z_]+" exports "${body}")
    list(TRANSFORM exports REPLACE ".* " "")
    list(JOIN exports ", " exports)
    string(REGEX REPLACE "\nexport " "\n" body "${body}")
    string(APPEND body "return { ${exports} };")
    # A form that is not known here must not reach a browser.
    if(body MATCHES "\n(import|export) ([^\n]*)")
      message(FATAL_ERROR "web/${name}.js: cannot bundle: ${CMAKE_MATCH_0}")
    endif()
  endif()
  set_property(GLOBAL APPEND PROPERTY EBB_BUNDLE_DONE ${name})
  set_property(GLOBAL APPEND_STRING PROPERTY EBB_BUNDLE_TEXT
               "const module_${name} = (() => {${body}\n})();\n\n")
endfunction()
