# SPDX-License-Identifier: Apache-2.0
# What `make install` installs of libebb: both libraries, the header, the file for pkg-config. The
# last is made when it is installed, since only then the prefix is known.
install(TARGETS libebb_shared libebb_static
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${PROJECT_SOURCE_DIR}/include/ebb/ebb.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/ebb)
if(EBB_LIB_PREFIX)
  install(FILES ${PROJECT_BINARY_DIR}/include/ebb/prefix.h
          DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/ebb)
endif()
install(CODE "
  set(EBB_LIB_NAME ${EBB_LIB_NAME})
  set(PROJECT_VERSION ${PROJECT_VERSION})
  set(libebb_pc_libdir \"\\\${prefix}/${CMAKE_INSTALL_LIBDIR}\")
  set(libebb_pc_includedir \"\\\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}\")
  configure_file(${PROJECT_SOURCE_DIR}/lib/libebb.pc.in ${PROJECT_BINARY_DIR}/libebb.pc @ONLY)")
install(FILES ${PROJECT_BINARY_DIR}/libebb.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
