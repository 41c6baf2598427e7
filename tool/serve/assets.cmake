# SPDX-License-Identifier: Apache-2.0
# Embeds the page's files into ebb_serve (assets.h): web/ as one script and one style, with uPlot
# in them, which scripts/web-assets fetches. Without it there is no page: its files would not run.
include(${CMAKE_CURRENT_LIST_DIR}/bundle.cmake)
option(EBB_WITH_PAGE "The page of ebb watch (fetches uPlot with npm)" ON)
set(folder ${PROJECT_BINARY_DIR}/web)
set(files "")
file(GLOB page CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/web/*.html ${PROJECT_SOURCE_DIR}/web/*.css
     ${PROJECT_SOURCE_DIR}/web/*.js ${PROJECT_SOURCE_DIR}/web/*.svg)
if(EBB_WITH_PAGE AND page)
  execute_process(COMMAND ${PROJECT_SOURCE_DIR}/scripts/web-assets ${folder}
                  RESULT_VARIABLE failed ERROR_VARIABLE reason OUTPUT_QUIET
                  ERROR_STRIP_TRAILING_WHITESPACE)
  if(failed)
    message(STATUS "ebb watch has no page: ${reason}. Run cmake again when that is mended")
  else()
    ebb_bundle(${PROJECT_SOURCE_DIR}/web ${folder}/uplot.js script)
    # What is the same stays as old as it is: nothing is built again for it.
    file(CONFIGURE OUTPUT ${folder}/bundle/app.js CONTENT "@script@" @ONLY)
    file(READ ${PROJECT_SOURCE_DIR}/web/style.css style)
    file(READ ${folder}/uplot.css library_style)
    file(CONFIGURE OUTPUT ${folder}/bundle/style.css CONTENT "@library_style@\n@style@" @ONLY)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${page})
    set(files ${PROJECT_SOURCE_DIR}/web/index.html ${PROJECT_SOURCE_DIR}/web/icon.svg
        ${folder}/bundle/app.js ${folder}/bundle/style.css)
    install(FILES ${folder}/uplot-LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
  endif()
endif()

set(type_html "text/html; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_svg "image/svg+xml")
set(EBB_ASSET_BYTES "")
set(EBB_ASSET_ROWS "")
set(number 0)
foreach(file IN LISTS files)
  get_filename_component(name ${file} NAME)
  get_filename_component(kind ${file} LAST_EXT)
  string(SUBSTRING ${kind} 1 -1 kind)
  # Of the bytes; cmake runs again when they change.
  file(SHA256 ${file} digest)
  string(SUBSTRING ${digest} 0 16 digest)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  set(path "/${name}")
  if(name STREQUAL "index.html")
    set(path "/")
  endif()
  string(APPEND EBB_ASSET_BYTES "EMBED(asset_${number}, \"${file}\")\n")
  set(row "\"${path}\", \"${type_${kind}}\", \"\\\"${digest}\\\"\"")
  string(APPEND EBB_ASSET_ROWS "    {${row}, asset_${number}, asset_${number}_end},\n")
  math(EXPR number "${number} + 1")
endforeach()
configure_file(${CMAKE_CURRENT_LIST_DIR}/assets.c.in ${PROJECT_BINARY_DIR}/web/assets.c @ONLY)
set_source_files_properties(${PROJECT_BINARY_DIR}/web/assets.c PROPERTIES
                            OBJECT_DEPENDS "${files}")
target_sources(ebb_serve PRIVATE ${PROJECT_BINARY_DIR}/web/assets.c)
