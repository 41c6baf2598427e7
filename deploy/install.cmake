# SPDX-License-Identifier: Apache-2.0
# Installs the service and what goes with the exporter: the component "deploy".
#
# The unit names the command by its path, which only the installation knows.
install(CODE "
  file(READ \"${CMAKE_CURRENT_LIST_DIR}/systemd/ebb-export.service\" unit)
  string(REPLACE \"/usr/local/bin/ebb\" \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/ebb\"
                 unit \"\${unit}\")
  file(WRITE \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/systemd/system/ebb-export.service\"
             \"\${unit}\")
" COMPONENT deploy)
install(DIRECTORY ${CMAKE_CURRENT_LIST_DIR}/prometheus ${CMAKE_CURRENT_LIST_DIR}/grafana
                  ${CMAKE_CURRENT_LIST_DIR}/systemd ${CMAKE_CURRENT_LIST_DIR}/kubernetes
        DESTINATION ${CMAKE_INSTALL_DATADIR}/ebb COMPONENT deploy)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/README.md DESTINATION ${CMAKE_INSTALL_DATADIR}/ebb
        COMPONENT deploy)
