# The image: built with deploy/install.sh's build packages, run with nothing but what runs, as nobody; the root may be read-only.
# --target test runs the unit tests on the same libraries; tests/system/image.sh builds all of it without a container engine.
ARG DEBIAN=debian:trixie-slim

FROM ${DEBIAN} AS build
WORKDIR /src
COPY deploy/install.sh deploy/
RUN deploy/install.sh build
COPY . .
RUN cmake --preset release -DJOBHOOK_TESTS=OFF \
 && cmake --build .build/release \
 && strip .build/release/jobhook

FROM build AS test
RUN deploy/install.sh unit
RUN cmake --preset release -DJOBHOOK_TESTS=ON && cmake --build .build/release --target unit_tests
RUN for program in .build/release/tests/unit_test_*; do "$program" --color=never || exit 1; done

FROM ${DEBIAN} AS run
# The project's version in CMakeLists.txt; tests/rules compares the two, and the build ends when the program says otherwise.
ARG VERSION=0.2.0
LABEL org.opencontainers.image.title="jobhook" \
      org.opencontainers.image.description="Tells customers over HTTP that their job is finished" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT"
COPY deploy/install.sh /tmp/install.sh
RUN /tmp/install.sh run \
 && rm -rf /tmp/install.sh /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/* /var/log/apt /var/log/*.log
COPY --from=build /src/.build/release/jobhook /usr/local/bin/jobhook
RUN test "$(jobhook version)" = "jobhook ${VERSION}"
USER 65534:65534
EXPOSE 8080 8081
ENTRYPOINT ["/usr/local/bin/jobhook"]
CMD ["run"]
